//! Answers to any bytes can be read again and repeat the control id; answers of others never panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waybill_hl7v2::ack::{self, Ack, AckCode, AckError, ErrorCode};
use waybill_hl7v2::{Header, path};

fuzz_target!(|input: (&[u8], &str)| {
    let (bytes, text) = input;
    let _ = ack::read(bytes);
    let errors = [AckError::new(ErrorCode::DataTypeError).at(path!("OBX[2]-5.1")).with_text(text)];
    let answer = Ack::new(AckCode::AE, "A-1", "20240131101500+0000").with_errors(&errors).with_text(text);
    if let Ok(header) = Header::parse(bytes) {
        let reply = answer.reply_to(&header);
        let read = ack::read(&reply).unwrap();
        assert_eq!((read.code, read.control_id), (Some(AckCode::AE), header.control_id()));
        assert_eq!(read.errors.len(), 1);
    } else if let Some(reply) = answer.reply_to_unreadable(bytes) {
        assert!(ack::read(&reply).is_ok());
    }
});
