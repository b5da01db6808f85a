//! Bytes, ends, failures and silence, over pipes in memory.

use super::{End, Interrupted, Meter, copy};
use std::cell::Cell;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

#[derive(Default)]
struct Counts {
    left: Cell<usize>,
    right: Cell<usize>,
}

impl Meter for Counts {
    fn count(&self, from: End, bytes: usize) {
        let cell = if from == End::Left { &self.left } else { &self.right };
        cell.set(cell.get() + bytes);
    }
}

/// Two outer ends, and what lies between them.
fn line(capacity: usize) -> (DuplexStream, DuplexStream, (DuplexStream, DuplexStream)) {
    let ((a, left), (b, right)) = (duplex(capacity), duplex(capacity));
    (a, b, (left, right))
}

async fn carry(
    mut between: (DuplexStream, DuplexStream),
    idle: Option<Duration>,
) -> (Result<(), Interrupted>, Counts) {
    let counts = Counts::default();
    let result = copy(&mut between.0, &mut between.1, idle, false, &counts).await;
    (result, counts)
}

#[tokio::test(flavor = "current_thread")]
async fn everything_arrives_in_order_through_narrow_pipes() {
    let (a, b, between) = line(777);
    let sent: Vec<u8> = (0..3_000_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
    let talk = |stream: DuplexStream, sent: Vec<u8>| async move {
        let (mut read, mut write) = tokio::io::split(stream);
        let send = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut received = Vec::new();
        let (_, n) = tokio::join!(send, read.read_to_end(&mut received));
        n.unwrap();
        received
    };
    let reversed: Vec<u8> = sent.iter().rev().copied().collect();
    let ((result, counts), at_a, at_b) =
        tokio::join!(carry(between, None), talk(a, sent.clone()), talk(b, reversed.clone()));
    result.unwrap();
    assert!(at_b == sent && at_a == reversed);
    assert_eq!((counts.left.get(), counts.right.get()), (sent.len(), sent.len()));
}

#[tokio::test(flavor = "current_thread")]
async fn an_end_is_passed_on_and_the_other_direction_goes_on() {
    let (mut a, mut b, between) = line(64);
    let ends = async {
        a.write_all(b"question").await.unwrap();
        a.shutdown().await.unwrap();
        let mut question = String::new();
        b.read_to_string(&mut question).await.unwrap();
        assert_eq!(question, "question");
        b.write_all(b"answer after the end of the question").await.unwrap();
        b.shutdown().await.unwrap();
        let mut answer = String::new();
        a.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer after the end of the question");
    };
    let ((result, _), ()) = tokio::join!(carry(between, None), ends);
    result.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn a_receiver_that_went_away_is_a_failure_of_its_end() {
    let (mut a, b, between) = line(64);
    drop(b);
    let (result, _) = tokio::join!(carry(between, None), a.write_all(b"to nobody")).0;
    assert!(matches!(result, Err(Interrupted::Failed(End::Right, _))), "{result:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn silence_ends_and_every_byte_begins_it_anew() {
    let (mut a, _b, between) = line(64);
    let began = tokio::time::Instant::now();
    let talk = async {
        // The other half of the time is left to a machine that is busy with something else.
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            a.write_all(b".").await.unwrap();
        }
    };
    let ((result, counts), ()) = tokio::join!(carry(between, Some(Duration::from_secs(6))), talk);
    assert!(matches!(result, Err(Interrupted::Idle)), "{result:?}");
    assert_eq!(counts.left.get(), 3);
    assert!(began.elapsed() >= Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_not_received_is_not_read() {
    let (mut a, b, between) = line(1000);
    let stuck = tokio::time::timeout(Duration::from_secs(120), async {
        tokio::join!(carry(between, None), async {
            let chunk = [0; 1000];
            let mut accepted = 0;
            while tokio::time::timeout(Duration::from_millis(20), a.write_all(&chunk)).await.is_ok() {
                accepted += chunk.len();
            }
            // Two pipes and one buffer.
            assert!(accepted <= 2 * 1000 + crate::pool::SIZE, "{accepted}");
            drop(b);
        })
        .0
        .0
    });
    let ended = stuck.await.expect("the failure of one end ends it");
    assert!(matches!(ended, Err(Interrupted::Failed(End::Right, _))), "{ended:?}");
}
