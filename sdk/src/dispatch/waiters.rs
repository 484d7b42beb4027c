//! Who waits for the same thing, in the order in which they came.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Waker;

/// Those who wait. To come and to leave costs each the same, however many there are. A clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Waiters(Rc<RefCell<List>>);

#[derive(Default)]
struct List {
    waiting: BTreeMap<u64, Waker>,
    last: u64,
}

/// One who waits, until this is dropped.
pub(crate) struct Waiting {
    list: Rc<RefCell<List>>,
    number: u64,
}

impl Waiters {
    /// `waker` is the one to wake for whom has this place; who has been woken stands behind the others again.
    pub(crate) fn wait(&self, place: &mut Option<Waiting>, waker: &Waker) {
        if !place.as_ref().is_some_and(|place| place.renew(waker)) {
            *place = Some(self.come(waker));
        }
    }

    fn come(&self, waker: &Waker) -> Waiting {
        let mut list = self.0.borrow_mut();
        let number = list.last.wrapping_add(1);
        list.last = number;
        list.waiting.insert(number, waker.clone());
        Waiting { list: self.0.clone(), number }
    }

    pub(crate) fn wake(&self) {
        // Not held while something is woken.
        let waiting = std::mem::take(&mut self.0.borrow_mut().waiting);
        waiting.into_values().for_each(Waker::wake);
    }
}

impl Waiting {
    /// Whether it still waits.
    fn renew(&self, waker: &Waker) -> bool {
        self.list.borrow_mut().waiting.get_mut(&self.number).map(|known| known.clone_from(waker)).is_some()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Not held while a waker is dropped.
        let _waker = self.list.borrow_mut().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    //! The order in which wakers are woken, as they tell it.

    use super::*;
    use std::sync::{Arc, Mutex};
    use std::task::Wake;

    struct Named(u8, Arc<Mutex<Vec<u8>>>);

    impl Wake for Named {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn who_came_first_is_woken_first_and_who_left_is_not() {
        let woken = Arc::default();
        let named = |name| Waker::from(Arc::new(Named(name, Arc::clone(&woken))));
        let waiters = Waiters::default();
        let mut places = [const { None }; 4];
        for (name, place) in (0..).zip(&mut places) {
            waiters.wait(place, &named(name));
        }
        waiters.wait(&mut places[0], &named(7));
        places[2] = None;
        waiters.wake();
        assert_eq!(std::mem::take(&mut *woken.lock().unwrap()), [7, 1, 3], "once, by the waker named last");
        waiters.wait(&mut places[3], &named(3));
        waiters.wait(&mut places[0], &named(0));
        waiters.wake();
        assert_eq!(*woken.lock().unwrap(), [7, 1, 3, 3, 0][3..]);
        drop(places);
        assert!(waiters.0.borrow().waiting.is_empty());
    }
}
