//! What every stream does: each behaviour is a test for each implementation.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use async_io::Async;
use smol::future::{or, poll_once, zip};
use smol::{Timer, block_on};

use super::memory::write_all;
use super::*;

/// No test takes this long unless it hangs.
const HANG_TIME: Duration = Duration::from_secs(30);

/// More than the buffers of a connection hold.
const LARGE_SIZE_BYTES: usize = 16 * 1024 * 1024;

type Pair = (Arc<dyn Stream>, Arc<dyn Stream>);

fn plain() -> Pair {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    let stream = |socket| Arc::new(PlainStream::new(Async::new(socket).unwrap()));
    (stream(server), stream(client))
}

fn unix() -> Pair {
    let (server, client) = std::os::unix::net::UnixStream::pair().unwrap();
    let stream =
        |socket: std::os::unix::net::UnixStream| Arc::new(PlainStream::of_unix(socket.into()).unwrap());
    (stream(server), stream(client))
}

fn memory() -> Pair {
    let (server, client) = MemoryStream::pair();
    (Arc::new(server), Arc::new(client))
}

/// Makes each function a test of its name in a module for an implementation.
macro_rules! suite {
    ($module:ident, $make:ident: $($behaviour:ident)+) => {
        mod $module {
            use crate::wire::stream::tests as suite;

            $(#[test]
            fn $behaviour() {
                suite::in_time(suite::$behaviour(suite::$make()));
            })+
        }
    };
}

/// What holds for every stream.
macro_rules! suite_of_streams {
    ($($make:ident)+) => {
        $(suite! {
            $make, $make:
            bytes_arrive_in_order_and_can_be_taken_in_parts
            a_read_waits_for_bytes
            peeking_leaves_the_bytes_and_does_not_wait
            a_write_waits_for_a_client_that_does_not_read
            the_end_of_one_direction_leaves_the_other_open
            an_aborted_stream_reads_nothing_more
            a_client_that_is_gone_fails_the_writes
            a_descriptor_takes_plain_bytes
        })+
    };
}

suite_of_streams!(plain unix memory);

/// Unix sockets have no reset: there the length of an answer shows that it is cut.
macro_rules! suite_of_resets {
    ($($module:ident $make:ident)+) => {
        $(suite! {
            $module, $make:
            an_aborted_stream_ends_in_an_error_for_the_client
            a_reset_is_seen_without_reading
        })+
    };
}

suite_of_resets!(plain_resets plain memory_resets memory);

fn in_time(behaviour: impl Future<Output = ()>) {
    block_on(or(behaviour, async {
        Timer::after(HANG_TIME).await;
        panic!("it hangs");
    }));
}

async fn read_exact(stream: &dyn Stream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut end = 0;
    while end < count {
        let read = stream.read(&mut bytes[end..]).await.unwrap();
        assert_ne!(read, 0, "the stream ended {} bytes early", count - end);
        end += read;
    }
    bytes
}

/// Waits until a peek returns something other than that it would have to wait.
async fn peeked(stream: &dyn Stream) -> io::Result<usize> {
    loop {
        stream.readable().await.unwrap();
        match stream.peek(&mut [0; 8]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            peeked => return peeked,
        }
    }
}

async fn bytes_arrive_in_order_and_can_be_taken_in_parts((server, client): Pair) {
    write_all(&*client, b"one, two").await.unwrap();
    assert_eq!(read_exact(&*server, 3).await, b"one");
    write_all(&*client, b", three").await.unwrap();
    assert_eq!(read_exact(&*server, 12).await, b", two, three");
    write_all(&*server, b"four").await.unwrap();
    assert_eq!(read_exact(&*client, 4).await, b"four");
}

async fn a_read_waits_for_bytes((server, client): Pair) {
    let mut target = [0; 8];
    assert!(poll_once(server.read(&mut target)).await.is_none());
    let late = async {
        Timer::after(Duration::from_millis(20)).await;
        write_all(&*client, b"late").await.unwrap();
    };
    let (read, ()) = zip(read_exact(&*server, 4), late).await;
    assert_eq!(read, b"late");
}

async fn peeking_leaves_the_bytes_and_does_not_wait((server, client): Pair) {
    let would_wait = server.peek(&mut [0; 8]).unwrap_err();
    assert_eq!(would_wait.kind(), io::ErrorKind::WouldBlock);
    write_all(&*client, b"peeked").await.unwrap();
    assert_eq!(peeked(&*server).await.unwrap(), 6);
    let mut target = [0; 4];
    assert_eq!(server.peek(&mut target).unwrap(), 4);
    assert_eq!(&target, b"peek");
    assert_eq!(read_exact(&*server, 6).await, b"peeked");
}

async fn a_write_waits_for_a_client_that_does_not_read((server, client): Pair) {
    let bytes: Vec<u8> = (0..LARGE_SIZE_BYTES).map(|number| (number % 253) as u8).collect();
    let mut write = Box::pin(write_all(&*server, &bytes));
    for _ in 0..10 {
        assert!(poll_once(&mut write).await.is_none(), "the client does not read");
        Timer::after(Duration::from_millis(1)).await;
    }
    let (written, read) = zip(write, read_exact(&*client, LARGE_SIZE_BYTES)).await;
    written.unwrap();
    assert!(read == bytes);
}

async fn the_end_of_one_direction_leaves_the_other_open((server, client): Pair) {
    write_all(&*server, b"last").await.unwrap();
    server.shutdown_write().unwrap();
    assert_eq!(read_exact(&*client, 4).await, b"last");
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    assert!(write_all(&*server, b"more").await.is_err());
    write_all(&*client, b"still open").await.unwrap();
    assert_eq!(read_exact(&*server, 10).await, b"still open");
    client.shutdown_write().unwrap();
    assert_eq!(peeked(&*server).await.unwrap(), 0);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
}

async fn an_aborted_stream_ends_in_an_error_for_the_client((server, client): Pair) {
    write_all(&*server, b"half an answer").await.unwrap();
    assert_eq!(read_exact(&*client, 4).await, b"half");
    server.abort();
    drop(server);
    let error = loop {
        match client.read(&mut [0; 8]).await {
            Ok(count) => assert_ne!(count, 0, "it looks whole"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

async fn an_aborted_stream_reads_nothing_more((server, _client): Pair) {
    let reads = async { server.read(&mut [0; 8]).await.unwrap_or(0) };
    let aborts = async {
        Timer::after(Duration::from_millis(20)).await;
        server.abort();
    };
    assert_eq!(zip(reads, aborts).await.0, 0);
}

async fn a_reset_is_seen_without_reading((server, client): Pair) {
    client.abort();
    drop(client);
    assert_eq!(peeked(&*server).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

async fn a_client_that_is_gone_fails_the_writes((server, client): Pair) {
    drop(client);
    assert!(write_all(&*server, &vec![0; LARGE_SIZE_BYTES]).await.is_err());
}

async fn a_descriptor_takes_plain_bytes((server, client): Pair) {
    let Some(descriptor) = server.descriptor() else { return };
    let piece = vec![b'x'; 64 * 1024];
    let mut written = 0;
    // Until the descriptor takes no more: it does not block.
    let full = loop {
        match rustix::io::write(descriptor, &piece) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(full, rustix::io::Errno::AGAIN);
    let writable = poll_fn(|context| server.poll_writable(context));
    let (writable, read) = zip(writable, read_exact(&*client, written)).await;
    writable.unwrap();
    assert!(read.iter().all(|byte| *byte == b'x'));
}

/// The reactor takes an event for one from before the wait when it comes while another thread waits.
#[test]
fn what_wakes_a_wait_ends_it_even_if_its_event_seems_to_be_an_older_one() {
    block_on(async {
        let mut wait = std::pin::pin!(until_woken(|_| Poll::Pending));
        assert!(poll_once(&mut wait).await.is_none());
        assert!(poll_once(&mut wait).await.is_some());
    });
}
