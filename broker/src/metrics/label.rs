//! Label values as enums, and the counters that are indexed by them.

use std::marker::PhantomData;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

/// The closed set of values that a label can have.
pub trait Label: Copy + 'static {
    /// All values, in the order of [`Label::index`].
    const ALL: &'static [Self];

    /// The value as it is exported.
    fn as_str(self) -> &'static str;

    /// Its position in [`Label::ALL`].
    fn index(self) -> usize;
}

/// Declares an enum that is a [`Label`].
macro_rules! label {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $value),+ }

        impl $crate::metrics::Label for $name {
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text),+ }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use label;

/// One counter for each value of a label, looked up once: counting is one atomic addition.
#[derive(Clone, Debug)]
pub struct Counters<L> {
    children: Box<[IntCounter]>,
    label: PhantomData<fn(L)>,
}

impl<L: Label> Counters<L> {
    /// `values` gives all label values of the vector for one value of `L`.
    pub(super) fn of<'a, const N: usize>(vector: &IntCounterVec, values: impl Fn(L) -> [&'a str; N]) -> Self {
        let children = L::ALL.iter().map(|value| vector.with_label_values(&values(*value))).collect();
        Self { children, label: PhantomData }
    }

    /// Counts one.
    pub fn inc(&self, value: L) {
        self.children[value.index()].inc();
    }

    /// Counts several.
    pub fn add(&self, value: L, count: u64) {
        self.children[value.index()].inc_by(count);
    }

    /// What has been counted so far.
    pub fn get(&self, value: L) -> u64 {
        self.children[value.index()].get()
    }

    /// What has been counted so far, whatever the value.
    pub fn sum(&self) -> u64 {
        self.children.iter().map(IntCounter::get).sum()
    }
}

/// One histogram for each value of a label.
#[derive(Clone, Debug)]
pub struct Histograms<L> {
    children: Box<[Histogram]>,
    label: PhantomData<fn(L)>,
}

impl<L: Label> Histograms<L> {
    pub(super) fn of(vector: &HistogramVec) -> Self {
        let children = L::ALL.iter().map(|value| vector.with_label_values(&[value.as_str()])).collect();
        Self { children, label: PhantomData }
    }

    /// The histogram of one value.
    pub fn get(&self, value: L) -> &Histogram {
        &self.children[value.index()]
    }
}
