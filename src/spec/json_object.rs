//! JSON objects that are really objects.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A JSON object, read as a `T`.
///
/// A derived reader would take an array of the fields' values for the object as well, which no other reader
/// of manifests does; this one takes nothing but an object.
pub(in crate::spec) struct Object<T>(pub(in crate::spec) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Point {
        x: u8,
    }

    #[test]
    fn an_object_is_read_and_an_array_is_not() {
        assert_eq!(serde_json::from_str::<Object<Point>>(r#"{"x":1,"y":2}"#).unwrap().0.x, 1);
        assert!(serde_json::from_str::<Point>("[1]").is_ok());
        for text in ["[1]", "1", "null", "\"x\"", "{}", r#"{"x":1,"x":1}"#] {
            assert!(serde_json::from_str::<Object<Point>>(text).is_err(), "{text}");
        }
    }
}
