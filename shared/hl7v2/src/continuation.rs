//! Messages that are too long for their sender: several that make up one (§2.10.2).

use std::fmt;

use crate::message::Message;
use crate::view::Field;

/// How a message is part of a longer one. The fragments have control ids of their own; what joins them is that MSH-14 of one
/// repeats DSC-1 of the one before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Continuation<'m> {
    /// MSH-14: the fragment before had this in DSC-1. Absent in the first one.
    pub continues: Field<'m>,
    /// DSC-1: the next fragment will have this in MSH-14. Absent in the last one.
    pub continued_by: Field<'m>,
    /// DSC-2 is `I`: the receiver has to ask for the next fragment. Else (`F`, or not said) it is sent.
    pub is_interactive: bool,
    /// The first segment behind the header is ADD: its fields go on where the last segment of the fragment before stopped.
    pub starts_within_segment: bool,
    /// The last segment, but for DSC, is ADD: the segment before it goes on in the next fragment.
    pub ends_within_segment: bool,
}

impl fmt::Debug for Continuation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Continuation")
            .field("continues", &!self.continues.is_absent())
            .field("continued", &!self.continued_by.is_absent())
            .finish_non_exhaustive()
    }
}

impl Message<'_> {
    /// How this message is a fragment of a longer one; `None` for nearly all messages, which are whole.
    pub fn continuation(&self) -> Option<Continuation<'_>> {
        let continues = self.header().field(14);
        let dsc = self.segments().rev().find(|segment| segment.name() == b"DSC");
        let mut inner = self.segments().skip(1).filter(|segment| segment.name() != b"DSC");
        let starts_within_segment = inner.next().is_some_and(|segment| segment.name() == b"ADD");
        let last = inner.next_back();
        let ends_within_segment = last.is_some_and(|segment| segment.name() == b"ADD");
        let fragment =
            continues.value().is_some() || dsc.is_some() || starts_within_segment || ends_within_segment;
        fragment.then(|| Continuation {
            continues,
            continued_by: dsc.map_or_else(|| self.header().field(0), |dsc| dsc.field(1)),
            is_interactive: dsc.is_some_and(|dsc| dsc.field(2).raw() == b"I"),
            starts_within_segment,
            ends_within_segment,
        })
    }
}
