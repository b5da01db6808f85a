//! Material that the program itself provides: for tests, benchmarks, and identities of another origin.

use super::refusal::Refusal;
use super::source::{Material, Offered, Source, SourceError, Updates, Withdrawal};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use tokio::sync::{mpsc, oneshot};

/// A source that delivers what its [`MemoryHandle`] is given.
///
/// ```no_run
/// use rustls_multibuffer::spiffe::{Identity, Material, memory_source};
///
/// # async fn example(material: Material, next: Material) -> Result<(), Box<dyn std::error::Error>> {
/// let (source, handle) = memory_source();
/// let identity = Identity::start(source);
/// handle.offer(material).await?;
/// assert_eq!(identity.current()?.generation(), 1);
/// handle.offer(next).await?;
/// assert_eq!(identity.current()?.generation(), 2);
/// # Ok(()) }
/// ```
pub struct MemorySource {
    orders: mpsc::UnboundedReceiver<Order>,
}

/// Gives a [`MemorySource`] what to deliver. The identity keeps its last state when all handles are gone.
#[derive(Clone)]
pub struct MemoryHandle {
    orders: mpsc::UnboundedSender<Order>,
}

enum Order {
    Offer(Box<Material>, oneshot::Sender<Result<Offered, Refusal>>),
    Withdraw(Withdrawal, oneshot::Sender<()>),
}

/// A source in memory and its handle.
pub fn memory_source() -> (MemorySource, MemoryHandle) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (MemorySource { orders: receiver }, MemoryHandle { orders: sender })
}

impl MemoryHandle {
    /// Offers `material` to the identity, and waits for what became of it.
    ///
    /// # Errors
    /// Why it was refused; [`MemoryError::Gone`] if the identity has ended.
    pub async fn offer(&self, material: Material) -> Result<Offered, MemoryError> {
        let (sender, answer) = oneshot::channel();
        self.orders.send(Order::Offer(material.into(), sender)).map_err(|_| MemoryError::Gone)?;
        answer.await.map_err(|_| MemoryError::Gone)?.map_err(MemoryError::Refused)
    }

    /// Takes the identity back, and waits until that has happened.
    ///
    /// # Errors
    /// [`MemoryError::Gone`] if the identity has ended.
    pub async fn withdraw(&self, why: Withdrawal) -> Result<(), MemoryError> {
        let (sender, done) = oneshot::channel();
        self.orders.send(Order::Withdraw(why, sender)).map_err(|_| MemoryError::Gone)?;
        done.await.map_err(|_| MemoryError::Gone)
    }
}

impl Source for MemorySource {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn run<'a>(&'a mut self, updates: &'a Updates) -> Pin<Box<dyn Future<Output = SourceError> + Send + 'a>> {
        Box::pin(async {
            updates.connected();
            while let Some(order) = self.orders.recv().await {
                // Whoever gave the order may have stopped waiting for the answer.
                match order {
                    Order::Offer(material, answer) => {
                        let _ = answer.send(updates.offer(*material));
                    }
                    Order::Withdraw(why, done) => {
                        updates.withdraw(why);
                        let _ = done.send(());
                    }
                }
            }
            SourceError::Final("every handle is gone".into())
        })
    }
}

/// Delivers itself, once: an identity that never changes. Whether it is accepted is told by the identity's
/// health.
impl Source for Material {
    fn name(&self) -> &'static str {
        "material"
    }

    fn run<'a>(&'a mut self, updates: &'a Updates) -> Pin<Box<dyn Future<Output = SourceError> + Send + 'a>> {
        Box::pin(async {
            updates.connected();
            if let Err(why) = updates.offer(self.clone()) {
                log::error!("the only material of an identity is not accepted: {why}");
            }
            std::future::pending().await
        })
    }
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryError {
    /// The identity does not accept the material.
    Refused(Refusal),
    /// The identity has ended.
    Gone,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Gone => f.write_str("the identity has ended"),
        }
    }
}

impl std::error::Error for MemoryError {}

impl fmt::Debug for MemorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemorySource")
    }
}

impl fmt::Debug for MemoryHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryHandle")
    }
}
