//! The version of what lies on the disk.

/// The version of everything durable that this pulk writes, and the newest that it reads.
///
/// Every change that an older version would not understand whole raises it: another fact, another field of a
/// row, another kind of line. `pulk.json`, each header of a journal file and each trailer of a checkpoint say
/// it, and it holds for every line of their file: no line is added under an older header.
///
/// | number | what came with it |
/// |---|---|
/// | 1 | the first one |
/// | 2 | where a transaction comes from (`by` in a record); what a version may do without (`optional`) |
pub const FORMAT: u32 = 2;

/// What a store may use beyond its format, and a version must know to read it right. `pulk.json` names the
/// features in use; a start with one that is not listed here is refused.
pub const FEATURES: &[&str] = &[];

/// The oldest version that this pulk reads.
pub const FORMAT_OLDEST: u32 = 1;
