//! Values that can change while they are used, such as secrets that are rotated, and requests to read them again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

/// The current value of something that can change. It is asked for at each use, and a user does not keep the value.
pub struct Current<T>(Arc<dyn Fn() -> T + Send + Sync>);

impl<T> Current<T> {
    /// The value of this moment.
    #[must_use]
    pub fn get(&self) -> T {
        (self.0)()
    }

    /// What a function makes of the value of each moment.
    #[must_use]
    pub fn map<U>(&self, f: impl Fn(T) -> U + Send + Sync + 'static) -> Current<U>
    where
        T: 'static,
    {
        let get = Arc::clone(&self.0);
        Current(Arc::new(move || f(get())))
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A value that does not change.
impl<T: Clone + Send + Sync + 'static> From<T> for Current<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(move || value.clone()))
    }
}

/// The value that was sent last.
impl<T: Clone + Send + Sync + 'static> From<watch::Receiver<T>> for Current<T> {
    fn from(values: watch::Receiver<T>) -> Self {
        Self(Arc::new(move || values.borrow().clone()))
    }
}

/// Asks for values to be read again from their source. The default is for values without a source.
#[derive(Clone, Debug, Default)]
pub struct Refresh(Option<mpsc::Sender<oneshot::Sender<()>>>);

/// The requests to read again. Each is answered by dropping it.
pub type RefreshRequests = mpsc::Receiver<oneshot::Sender<()>>;

impl Refresh {
    /// The most requests that wait. More are refused at once.
    const MAX_WAITING: usize = 64;
    /// The longest wait for the reading.
    const MAX_WAIT: Duration = Duration::from_secs(2);

    /// The requests, and what answers them.
    #[must_use]
    pub fn channel() -> (Self, RefreshRequests) {
        let (sender, requests) = mpsc::channel(Self::MAX_WAITING);
        (Self(Some(sender)), requests)
    }

    /// Asks, and does not wait.
    pub fn ask(&self) {
        if let Some(requests) = &self.0 {
            // If it is full, others have asked.
            let _ = requests.try_send(oneshot::channel().0);
        }
    }

    /// Asks, and waits until the values were read or the request was refused.
    pub async fn ask_and_wait(&self) {
        let Some(requests) = &self.0 else { return };
        let (answer, answered) = oneshot::channel();
        if requests.try_send(answer).is_ok() {
            let _ = tokio::time::timeout(Self::MAX_WAIT, answered).await;
        }
    }
}
