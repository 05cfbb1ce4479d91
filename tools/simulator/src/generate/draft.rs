//! One message while it is being written: header, body, and the list of what in it identifies somebody.

use time::PrimitiveDateTime;

use super::hospital::{Patient, Phone, StayState, date, stamp};
use super::{Feed, names};
use crate::er7::{Segment, escape};
use crate::rng::Rng;
use crate::text::Charset;

/// HL7 versions in the share real feeds show them.
pub(super) const VERSIONS: &[&str] = &["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6"];
const ADT_WEIGHTS: &[u32] = &[18, 20, 20, 15, 20, 7];
const ORU_WEIGHTS: &[u32] = &[10, 18, 8, 10, 48, 6];

pub(super) struct Draft<'a> {
    pub(super) feed: Feed,
    /// MSH-9 components 1, 2 and 3.
    pub(super) message_type: (&'static str, &'static str, &'static str),
    pub(super) version: &'static str,
    /// MSH-2 has the fifth character, `#`.
    pub(super) five: bool,
    pub(super) at: PrimitiveDateTime,
    body: Vec<Segment>,
    phi: Vec<String>,
    /// A segment was dropped, and identifying values with it.
    incomplete: bool,
    rng: &'a mut Rng,
}

/// What [`Draft::finish`] makes.
pub(super) struct Finished {
    pub(super) bytes: Vec<u8>,
    pub(super) phi: Vec<String>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        feed: Feed,
        message_type: (&'static str, &'static str, &'static str),
        at: PrimitiveDateTime,
        rng: &'a mut Rng,
    ) -> Self {
        let (weights, five_share) = match feed {
            // Bundles of the clinic are written elsewhere; here it is one more EHR.
            Feed::Ehr | Feed::Fhir => (ADT_WEIGHTS, 0.1),
            // Measured on public ELR samples: 288 of 379 messages.
            Feed::Lis => (ORU_WEIGHTS, 0.76),
        };
        let version = VERSIONS[rng.weighted(weights)];
        let five = rng.chance(five_share);
        Self {
            feed,
            message_type,
            version,
            five,
            at,
            body: Vec::new(),
            phi: Vec::new(),
            incomplete: false,
            rng,
        }
    }

    pub(super) fn rng(&mut self) -> &mut Rng {
        self.rng
    }

    /// True from version 2.5 on, where extended names, phones and ERR look different.
    pub(super) fn modern(&self) -> bool {
        self.version >= "2.5"
    }

    pub(super) fn push(&mut self, segment: Segment) {
        self.body.push(segment);
    }

    pub(super) fn escape(&self, text: &str) -> String {
        escape(text, self.five)
    }

    /// Notes an identifying value and returns it as it stands in the field.
    pub(super) fn phi(&mut self, value: &str) -> String {
        // A single initial is no identifier to search for.
        if value.chars().count() > 2 || (!value.is_ascii() && !value.is_empty()) {
            self.phi.push(value.to_owned());
        }
        self.escape(value)
    }

    pub(super) fn phone(&mut self, phone: &Phone, usage: &str) -> String {
        if self.modern() {
            let local = self.phi(&phone.local);
            format!("^{usage}^PH^^1^{}^{local}", phone.area)
        } else {
            self.phi(&phone.written())
        }
    }

    /// Family and given name as XPN; laboratory systems often write capitals.
    pub(super) fn person(&mut self, family: &str, given: &str, middle: &str) -> String {
        let case = |text: &str, feed| if feed == Feed::Lis { text.to_uppercase() } else { text.to_owned() };
        let (family, given, middle) =
            (case(family, self.feed), case(given, self.feed), case(middle, self.feed));
        let written = self.phi(&family);
        // FN from 2.3 on: surname & own prefix & own surname.
        let written = match family.split_once(' ') {
            Some((prefix, own)) if self.rng.chance(0.3) => {
                format!("{written}&{}&{}", self.escape(prefix), self.escape(own))
            }
            _ => written,
        };
        let given = self.phi(&given);
        let middle = self.phi(&middle);
        if self.modern() {
            format!("{written}^{given}^{middle}^^^^L")
        } else {
            format!("{written}^{given}^{middle}")
        }
    }

    /// The assigning authority of the hospital's record numbers, plain or with its object identifier.
    fn authority(&mut self) -> &'static str {
        if self.modern() && self.rng.chance(0.5) { "GENHOSP&2.16.840.1.113883.19.4.6&ISO" } else { "GENHOSP" }
    }

    pub(super) fn pid(&mut self, patient: &Patient) {
        let authority = self.authority();
        let mrn = self.phi(&patient.mrn);
        let mut ids = format!("{mrn}^^^{authority}^MR");
        if self.rng.chance(0.35) {
            let enterprise = self.phi(&patient.enterprise_id);
            ids = format!("{ids}~{enterprise}^^^REGIONMPI^PI");
        }
        let name = self.person(&patient.family, &patient.given, &patient.middle);
        let birth = self.phi(&patient.birth_field());
        let mut pid = Segment::new("PID").set(3, ids).set(5, name).set(7, birth).set(8, patient.sex);
        if !self.rng.chance(0.2) {
            pid = pid.set(1, "1");
        }
        if self.feed == Feed::Ehr || self.rng.chance(0.4) {
            let street = self.phi(&patient.address.street);
            let (city, state, zip) = (patient.address.city, patient.address.state, patient.address.zip);
            let phone = self.phone(&patient.phone, "PRN");
            let account = self.phi(&patient.account);
            let ssn = self.phi(&patient.ssn);
            pid = pid
                .set(
                    10,
                    self.rng.pick(&[
                        "",
                        "2106-3^White^HL70005",
                        "2054-5^Black^HL70005",
                        "2028-9^Asian^HL70005",
                    ]),
                )
                .set(11, format!("{street}^^{city}^{state}^{zip}^USA^H"))
                .set(13, phone)
                .set(18, format!("{account}^^^GENHOSP^AN"))
                .set(19, ssn);
            // "" deletes what the receiver has; here: no business phone any more, no driver's licence.
            if self.rng.chance(0.25) {
                pid = pid.set(14, "\"\"").set(20, "\"\"");
            }
            if self.rng.chance(0.3) {
                pid = pid.set(15, "ENG").set(16, self.rng.pick(&["M", "S", "W", "D"]));
            }
        }
        if self.rng.chance(0.12) {
            pid = pid.trailing(self.rng.between(1, 9) as usize);
        }
        self.body.push(pid);
    }

    pub(super) fn next_of_kin(&mut self, patient: &Patient) {
        let Some(relative) = &patient.relative else { return };
        let name = self.person(&relative.family, &relative.given, "");
        let phone = self.phone(&relative.phone, "PRN");
        self.body.push(
            Segment::new("NK1")
                .set(1, "1")
                .set(2, name)
                .set(3, format!("{}^^HL70063", relative.relationship))
                .set(5, phone),
        );
    }

    /// The patient's visit; laboratory systems send little of it.
    pub(super) fn pv1(&mut self, patient: &Patient) {
        let Some(stay) = &patient.stay else {
            self.body.push(Segment::new("PV1").set(1, "1").set(2, "N"));
            return;
        };
        let bed = |bed: &super::hospital::Bed| format!("{}^{}^{}^GENHOSP", bed.ward, bed.room, bed.place);
        let visit = self.phi(&stay.visit);
        let mut pv1 = Segment::new("PV1")
            .set(1, "1")
            .set(2, if stay.state == StayState::Planned { "P" } else { stay.class })
            .set(3, bed(&stay.bed))
            .set(7, doctor(stay.doctor))
            .set(10, &stay.bed.ward[..3])
            .set(19, format!("{visit}^^^GENHOSP^VN"));
        if self.feed == Feed::Ehr {
            pv1 = pv1.set(4, if stay.class == "E" { "E" } else { "R" });
            if stay.state != StayState::Planned {
                pv1 = pv1.set(44, stamp(stay.admitted));
            }
            if let Some(prior) = &stay.prior_bed {
                pv1 = pv1.set(6, bed(prior));
            }
            if let Some(discharged) = stay.discharged {
                pv1 = pv1.set(36, "01").set(45, stamp(discharged));
            }
        }
        self.body.push(pv1);
    }

    pub(super) fn insurance(&mut self, patient: &Patient) {
        let Some(cover) = &patient.insurance else { return };
        let (id, plan, kind) = names::PAYER[cover.payer];
        let holder = self.person(&patient.family, &patient.given, "");
        let birth = self.phi(&date(patient.birth));
        let policy = self.phi(&cover.policy);
        let group = self.phi(&cover.group);
        let plan = self.escape(plan);
        self.body.push(
            Segment::new("IN1")
                .set(1, "1")
                .set(2, format!("{kind}^{plan}"))
                .set(3, id)
                .set(4, plan)
                .set(8, group)
                .set(16, holder)
                .set(17, "SEL")
                .set(18, birth)
                .set(36, policy),
        );
    }

    pub(super) fn diagnosis(&mut self, at: PrimitiveDateTime) {
        let code = self.rng.pick(&[
            "I10^Essential hypertension^I10",
            "E11.9^Type 2 diabetes^I10",
            "J18.9^Pneumonia^I10",
        ]);
        self.body.push(Segment::new("DG1").set(1, "1").set(3, code).set(5, stamp(at)).set(6, "A"));
    }

    /// Local segments, as nearly every site has them.
    pub(super) fn local_segment(&mut self) {
        let segment = match (self.feed, self.rng.below(2)) {
            (Feed::Ehr | Feed::Fhir, 0) => {
                Segment::new("ZPI").set(1, "1").set(3, "VIP^N").set(6, "PORTAL^ACTIVE")
            }
            (Feed::Ehr | Feed::Fhir, _) => {
                Segment::new("ZBE").set(1, "MOV").set(2, stamp(self.at)).set(4, "INSERT").set(9, "HMS")
            }
            (Feed::Lis, 0) => Segment::new("ZLR").set(1, "MAIN LAB").set(2, "RACK^7^C").set(5, "Y"),
            (Feed::Lis, _) => Segment::new("ZIN").set(2, "ANALYZER\\T\\TRACK").set(3, "AU5800"),
        };
        self.body.push(segment);
    }

    /// The patient's other record and visit: what is no longer used (MRG-1, MRG-3, MRG-5).
    pub(super) fn prior(&mut self, mrn: &str, account: &str, visit: &str) {
        let cx = |value: String, kind: &str| {
            if value.is_empty() { value } else { format!("{value}^^^GENHOSP^{kind}") }
        };
        let [mrn, account, visit] = [mrn, account, visit].map(|value| self.phi(value));
        self.body.push(
            Segment::new("MRG").set(1, cx(mrn, "MR")).set(3, cx(account, "AN")).set(5, cx(visit, "VN")),
        );
    }

    /// Leaves out every segment of this name: how a deliberately bad message is made.
    pub(super) fn drop_segment(&mut self, name: &str) {
        self.body.retain(|segment| segment.name() != name);
        self.incomplete = true;
    }

    pub(super) fn finish(self, control_id: &str) -> Finished {
        let mut text = String::new();
        for segment in &self.body {
            segment.write(&mut text);
        }
        let charset = Charset::for_text(&text, self.rng);
        let (kind, trigger, structure) = self.message_type;
        let message_type = if self.version == "2.3" {
            format!("{kind}^{trigger}")
        } else {
            format!("{kind}^{trigger}^{structure}")
        };
        let (app, facility) = self.feed.sender();
        let mut header = Segment::new("MSH")
            .set(1, if self.five { "^~\\&#" } else { "^~\\&" })
            .set(2, app)
            .set(3, facility)
            .set(4, "WAYBILL")
            .set(5, "HUB")
            .set(6, message_time(self.at, self.rng))
            .set(8, message_type)
            .set(9, control_id)
            .set(10, "P")
            .set(11, self.version)
            .set(17, charset.declared());
        if kind == "ORU" && self.version == "2.5.1" && self.rng.chance(0.5) {
            header = header.set(20, "PHLabReport-NoAck^ELR_Receiver^2.16.840.1.113883.9.11^ISO");
        }
        let mut whole = String::with_capacity(text.len() + 160);
        header.write(&mut whole);
        whole.push_str(&text);
        let mut phi = self.phi;
        if self.incomplete {
            phi.retain(|value| whole.contains(value.as_str()));
        }
        phi.sort_unstable();
        phi.dedup();
        Finished { bytes: charset.encode(&whole), phi }
    }
}

/// MSH-7 in the precisions feeds use: seconds, seconds with offset, milliseconds, minutes.
fn message_time(at: PrimitiveDateTime, rng: &mut Rng) -> String {
    let seconds = stamp(at);
    match rng.weighted(&[60, 25, 10, 5]) {
        0 => seconds,
        1 => format!("{seconds}-0500"),
        2 => format!("{seconds}.{:03}-0500", rng.below(1000)),
        _ => seconds[..12].to_owned(),
    }
}

/// A doctor as XCN.
pub(super) fn doctor(index: usize) -> String {
    let (number, family, given) = names::DOCTOR[index];
    format!("{number}^{family}^{given}^^^DR^MD^^NPI")
}
