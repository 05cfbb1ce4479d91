//! `make demo`: a whole Waybill on the real stack, real messages, trouble on purpose, and an account of all of it.
//!
//! 1. [`messages`]: what is sent: a seeded hospital's traffic, or the files of a folder.
//! 2. [`scene`]: two feeds send at once to the services; one receiving system goes down and comes back, the other
//!    refuses one order for good.
//! 3. [`evidence`] and [`audit`]: what senders, Kafka, tracker and receivers each say, and whether they agree.
//! 4. [`closing`]: the balance sheet, three waybills, and where to look around.
//!
//! [`foreground`] is `make run`: the services against the stack as it stands, until Ctrl-C.

pub mod audit;
pub mod closing;
pub mod evidence;
pub mod foreground;
pub mod messages;
pub mod options;
pub mod scene;
pub mod screen;
