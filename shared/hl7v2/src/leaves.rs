//! All leaves of a segment in one pass.

use crate::block::{BLOCK, below, block, positions};
use crate::delimiters::Delimiters;
use crate::message::{Ends, Segment};
use crate::view::Subcomponent;

/// A leaf and where it stands; all numbers from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf<'m> {
    /// Number of the field.
    pub field: usize,
    /// Number of the repetition.
    pub repetition: usize,
    /// Number of the component.
    pub component: usize,
    /// Number of the subcomponent.
    pub subcomponent: usize,
    /// What was sent; never absent.
    pub value: Subcomponent<'m>,
}

/// See [`Segment::leaves`].
#[derive(Debug, Clone)]
pub struct Leaves<'m> {
    line: &'m [u8],
    delimiters: Delimiters,
    /// Where the fields after the last one visited end.
    ends: Ends<'m>,
    /// Where the next field starts in the line.
    next: usize,
    field: usize,
    repetition: usize,
    component: usize,
    subcomponent: usize,
    /// The next leaf of a field that has to be split starts here in the segment …
    start: usize,
    /// … and the field ends here. When the one is past the other, the field is done.
    end: usize,
    /// Delimiters still to be met in the block that starts at `base` in the segment.
    found: u64,
    base: usize,
}

impl<'m> Leaves<'m> {
    pub(crate) fn of(segment: Segment<'m>) -> Self {
        let mut ends = segment.ends();
        // The first end is that of the name; in MSH the next one is that of MSH-2.
        let mut next = ends.next().unwrap_or_default().0 + 1;
        if segment.has_delimiters() {
            next = ends.next().unwrap_or_default().0 + 1;
        }
        Self {
            line: segment.raw(),
            delimiters: segment.delimiters,
            ends,
            next,
            field: if segment.has_delimiters() { 2 } else { 0 },
            repetition: 1,
            component: 1,
            subcomponent: 1,
            start: 1,
            end: 0,
            found: 0,
            base: 0,
        }
    }

    /// Looks for delimiters in the block at `base`.
    #[inline]
    fn look(&mut self) {
        let delimiters = &self.delimiters;
        let wanted = [delimiters.repetition, delimiters.component, delimiters.subcomponent];
        self.found = positions(&block(&self.line[self.base..]), wanted);
        if let Some(left @ 0..BLOCK) = self.end.checked_sub(self.base) {
            self.found &= below(left as u32);
        }
    }

    #[inline]
    fn leaf(&self, start: usize, end: usize, whole: bool) -> Leaf<'m> {
        let raw = &self.line[start..end];
        Leaf {
            field: self.field,
            repetition: self.repetition,
            component: self.component,
            subcomponent: self.subcomponent,
            value: Subcomponent::new(raw, self.delimiters, whole),
        }
    }

    /// Counts on for the delimiter that ended a leaf.
    #[inline]
    fn pass(&mut self, delimiter: u8) {
        let delimiters = &self.delimiters;
        if delimiter == delimiters.component {
            self.component += 1;
        } else if delimiter == delimiters.subcomponent {
            self.subcomponent += 1;
            return;
        } else {
            self.repetition += 1;
            self.component = 1;
        }
        self.subcomponent = 1;
    }
}

impl<'m> Iterator for Leaves<'m> {
    type Item = Leaf<'m>;

    #[inline]
    fn next(&mut self) -> Option<Leaf<'m>> {
        loop {
            // What is left of a field that has to be split.
            while self.start <= self.end {
                if self.found == 0 {
                    self.base += BLOCK;
                    if self.base < self.end {
                        self.look();
                        continue;
                    }
                    let start = std::mem::replace(&mut self.start, self.end + 1);
                    if start < self.end {
                        return Some(self.leaf(start, self.end, false));
                    }
                    break;
                }
                let at = self.base + self.found.trailing_zeros() as usize;
                self.found &= self.found - 1;
                let start = std::mem::replace(&mut self.start, at + 1);
                let leaf = self.leaf(start, at, false);
                self.pass(self.line[at]);
                if start < at {
                    return Some(leaf);
                }
            }
            let (end, divided) = self.ends.next()?;
            let start = std::mem::replace(&mut self.next, end + 1);
            self.field += 1;
            if start == end {
                continue;
            }
            (self.repetition, self.component, self.subcomponent) = (1, 1, 1);
            if !divided {
                return Some(self.leaf(start, end, true));
            }
            (self.start, self.end, self.base) = (start, end, start);
            self.look();
        }
    }
}
