//! What the laboratory reports: orders that run from preliminary to final, and sometimes to a correction.

use time::{Duration, PrimitiveDateTime};

use super::Feed;
use super::catalogue::{ANTIBIOTICS, Analyte, ORGANISMS, PANELS};
use super::draft::{Draft, doctor};
use super::hospital::{Numbers, Patient, stamp};
use crate::er7::Segment;
use crate::rng::Rng;

/// OBR-25 and OBX-11 (tables 0123 and 0085), as far as one order runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Preliminary,
    Final,
    Corrected,
}

impl Status {
    fn code(self) -> &'static str {
        match self {
            Self::Preliminary => "P",
            Self::Final => "F",
            Self::Corrected => "C",
        }
    }
}

#[derive(Debug, Clone)]
enum Test {
    /// A numeric panel and its values as sent.
    Panel { panel: usize, values: Vec<f64> },
    /// A culture: growth text first, organism and susceptibilities when final.
    Culture { organism: usize, susceptible: Vec<&'static str> },
    /// SN: a viral load below the limit or a titre.
    Structured { titre: Option<u64> },
    /// CE: detected or not.
    Coded { detected: bool },
}

/// One order on its way through the laboratory.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) patient: usize,
    pub(super) filler: String,
    placer: String,
    collected: PrimitiveDateTime,
    status: Status,
    test: Test,
}

impl Order {
    pub(super) fn place(patient: usize, at: PrimitiveDateTime, numbers: &mut Numbers, rng: &mut Rng) -> Self {
        let test = match rng.weighted(&[66, 14, 8, 12]) {
            0 => {
                let panel = rng.below(PANELS.len() as u64) as usize;
                Test::Panel { panel, values: PANELS[panel].analytes.iter().map(|a| value(a, rng)).collect() }
            }
            1 => Test::Culture {
                organism: rng.below(ORGANISMS.len() as u64) as usize,
                susceptible: ANTIBIOTICS.iter().map(|_| rng.pick(&["S", "S", "I", "R"])).collect(),
            },
            2 => Test::Structured { titre: rng.chance(0.5).then(|| 1 << rng.between(3, 9)) },
            _ => Test::Coded { detected: rng.chance(0.3) },
        };
        // Cultures always begin preliminary; of the rest, a fifth.
        let early = matches!(test, Test::Culture { .. }) || rng.chance(0.2);
        Self {
            patient,
            filler: numbers.issue("LR", 8, rng),
            placer: numbers.issue("OP", 8, rng),
            collected: at - Duration::minutes(rng.between(25, 180) as i64),
            status: if early { Status::Preliminary } else { Status::Final },
            test,
        }
    }

    /// The order's next report, or `None` when the laboratory is done with it.
    pub(super) fn advance(&mut self, rng: &mut Rng) -> Option<()> {
        self.status = match self.status {
            Status::Preliminary => Status::Final,
            Status::Final if rng.chance(0.12) => {
                self.correct(rng);
                Status::Corrected
            }
            Status::Final | Status::Corrected => return None,
        };
        Some(())
    }

    /// A correction changes what was reported: one value, one susceptibility, or the finding.
    fn correct(&mut self, rng: &mut Rng) {
        match &mut self.test {
            Test::Panel { panel, values } => {
                let which = rng.below(values.len() as u64) as usize;
                values[which] = value(&PANELS[*panel].analytes[which], rng);
            }
            Test::Culture { susceptible, .. } => {
                susceptible[0] = if susceptible[0] == "R" { "S" } else { "R" }
            }
            Test::Structured { titre } => *titre = Some(titre.map_or(16, |t| t * 2)),
            Test::Coded { detected } => *detected = !*detected,
        }
    }

    /// True when a value in it is at or beyond a panic limit (OBX-8 HH or LL).
    pub(super) fn is_critical(&self) -> bool {
        let Test::Panel { panel, values } = &self.test else { return false };
        PANELS[*panel].analytes.iter().zip(values).any(|(a, v)| matches!(flag(a, *v), "HH" | "LL"))
    }

    pub(super) fn status(&self) -> &'static str {
        self.status.code()
    }

    pub(super) fn write<'a>(&self, patient: &Patient, at: PrimitiveDateTime, rng: &'a mut Rng) -> Draft<'a> {
        let mut draft = Draft::new(Feed::Lis, ("ORU", "R01", "ORU_R01"), at, rng);
        draft.pid(patient);
        if draft.rng().chance(0.6) {
            draft.pv1(patient);
        }
        let placer = format!("{}^GENEHR", self.placer);
        let filler = format!("{}^GENLIS", self.filler);
        let ordering = doctor(patient.stay.as_ref().map_or(0, |stay| stay.doctor));
        if draft.version >= "2.5" || draft.rng().chance(0.5) {
            draft.push(
                Segment::new("ORC")
                    .set(1, "RE")
                    .set(2, &*placer)
                    .set(3, &*filler)
                    .set(5, "CM")
                    .set(12, &*ordering),
            );
        }
        let (code, name) = self.ordered();
        let mut obr = Segment::new("OBR")
            .set(1, "1")
            .set(2, placer)
            .set(3, filler)
            .set(4, format!("{code}^{name}^LN"))
            .set(7, stamp(self.collected))
            .set(14, stamp(self.collected + Duration::minutes(12)))
            .set(16, ordering)
            .set(22, stamp(at))
            .set(24, if matches!(self.test, Test::Culture { .. }) { "MB" } else { "CH" })
            .set(25, self.status.code());
        if draft.rng().chance(0.15) {
            obr = obr.trailing(draft.rng().between(1, 12) as usize);
        }
        draft.push(obr);
        if draft.rng().chance(0.35) {
            draft.push(note(&draft.escape("Specimen #1 received & verified")));
        }
        self.observations(&mut draft);
        if draft.rng().chance(0.3) {
            let text = draft.rng().pick(ODD_TEXTS);
            draft.push(note(text));
        }
        if draft.version == "2.5.1" && draft.rng().chance(0.6) {
            draft.push(
                Segment::new("SPM")
                    .set(1, "1")
                    .set(4, "119297000^Blood specimen^SCT")
                    .set(17, stamp(self.collected)),
            );
        }
        if draft.rng().chance(0.2) {
            draft.local_segment();
        }
        draft
    }

    fn ordered(&self) -> (&'static str, &'static str) {
        match &self.test {
            Test::Panel { panel, .. } => (PANELS[*panel].loinc, PANELS[*panel].name),
            Test::Culture { .. } => ("600-7", "Bacteria identified in Blood by Culture"),
            Test::Structured { titre: None } => ("20447-9", "HIV 1 RNA [#/volume] (viral load) in Serum"),
            Test::Structured { .. } => ("5048-6", "Nuclear Ab [Titer] in Serum"),
            Test::Coded { .. } => ("94500-6", "SARS-CoV-2 RNA in Respiratory specimen by NAA"),
        }
    }

    fn observations(&self, draft: &mut Draft<'_>) {
        match &self.test {
            Test::Panel { panel, values } => self.panel(draft, *panel, values),
            Test::Culture { organism, susceptible } => self.culture(draft, ORGANISMS[*organism], susceptible),
            Test::Structured { titre } => {
                let value = titre.map_or_else(|| "<^20".to_owned(), |titre| format!("^1^:^{titre}"));
                let unit = if titre.is_some() { "{titer}" } else { "{copies}/mL" };
                let (code, name) = self.ordered();
                let name = draft.escape(name);
                let obx = self.obx(draft, 1, "SN", format!("{code}^{name}^LN"), value);
                draft.push(obx.set(6, unit));
            }
            Test::Coded { detected } => {
                let (value, flag) = if *detected {
                    ("260373001^Detected^SCT", "A")
                } else {
                    ("260415000^Not detected^SCT", "N")
                };
                let (code, name) = self.ordered();
                let kind = if draft.version >= "2.5" && draft.rng().chance(0.3) { "CWE" } else { "CE" };
                let obx = self.obx(draft, 1, kind, format!("{code}^{name}^LN"), value.to_owned());
                draft.push(obx.set(8, flag));
            }
        }
    }

    fn panel(&self, draft: &mut Draft<'_>, panel: usize, values: &[f64]) {
        let analytes = PANELS[panel].analytes;
        // A preliminary report holds what is ready so far.
        let ready =
            if self.status == Status::Preliminary { analytes.len().div_ceil(2) } else { analytes.len() };
        for (index, (analyte, value)) in analytes.iter().zip(values).take(ready).enumerate() {
            let code = format!("{}^{}^LN^{}^^L", analyte.loinc, analyte.name, analyte.local);
            let text = format!("{value:.*}", analyte.decimals);
            let unit = format!("{}^^UCUM", analyte.unit);
            let range = format!("{:.*}-{:.*}", analyte.decimals, analyte.low, analyte.decimals, analyte.high);
            let obx = self.obx(draft, index + 1, "NM", code, text);
            draft.push(obx.set(6, unit).set(7, range).set(8, flag(analyte, *value)));
        }
    }

    fn culture(&self, draft: &mut Draft<'_>, organism: (&str, &str), susceptible: &[&str]) {
        let code = "600-7^Bacteria identified in Blood by Culture^LN";
        if self.status == Status::Preliminary {
            let text =
                draft.escape("Gram-negative rods seen, identification to follow").replace(", ", "\\.br\\");
            let obx = self.obx(draft, 1, "FT", code.to_owned(), text);
            draft.push(obx);
            return;
        }
        let obx = self.obx(draft, 1, "CE", code.to_owned(), format!("{}^{}^SCT", organism.0, organism.1));
        draft.push(obx.set(4, "1").set(8, "A"));
        let text = draft.escape("Isolate #1: > 100,000 CFU & mixed flora ^ see note");
        let obx = self.obx(draft, 2, "TX", code.to_owned(), text);
        draft.push(obx.set(4, "1"));
        for (index, ((loinc, name), result)) in ANTIBIOTICS.iter().zip(susceptible).enumerate() {
            let word = match *result {
                "S" => "Susceptible",
                "I" => "Intermediate",
                _ => "Resistant",
            };
            let code = format!("{loinc}^{name} [Susceptibility]^LN");
            let obx = self.obx(draft, index + 3, "CE", code, format!("{result}^{word}^HL70078"));
            draft.push(obx.set(4, "1").set(8, *result));
        }
    }

    fn obx(&self, draft: &mut Draft<'_>, number: usize, kind: &str, code: String, value: String) -> Segment {
        let mut obx = Segment::new("OBX")
            .set(1, number.to_string())
            .set(2, kind)
            .set(3, code)
            .set(5, value)
            .set(11, self.status.code());
        if draft.rng().chance(0.7) {
            obx = obx.set(14, stamp(self.collected));
        }
        if draft.rng().chance(0.1) {
            obx = obx.trailing(3);
        }
        obx
    }
}

/// Free text as it really arrives, already encoded: line breaks, hexadecimal, highlighting, local and unknown
/// escapes, Windows paths nobody escaped.
const ODD_TEXTS: &[&str] = &[
    r"Reviewed \T\ released by pathologist",
    r"First line\.br\Second line\.br\Third line",
    r"Line one\X0D\Line two\X0D0A\Line three",
    r"See \H\critical value\N\ protocol",
    r"Image stored in C:\temp\scan17.tif",
    r"Local escape \Zlab7\ and unknown \Q\ kept",
    r"Range 1\S\2 \F\ ratio \E\ done",
];

fn note(text: &str) -> Segment {
    Segment::new("NTE").set(1, "1").set(2, "L").set(3, text)
}

/// A value: mostly normal, sometimes abnormal, now and then beyond a panic limit.
pub(super) fn value(analyte: &Analyte, rng: &mut Rng) -> f64 {
    let (low, high) = (analyte.low, analyte.high);
    let middle = f64::midpoint(low, high);
    match rng.weighted(&[82, 8, 8, 1, 1]) {
        0 => (middle + rng.normal() * (high - low) / 5.0).clamp(low, high),
        1 => high + rng.unit() * (analyte.panic_high - high) * 0.4,
        2 => low - rng.unit() * (low - analyte.panic_low.max(0.0)) * 0.4,
        3 => analyte.panic_high * (1.05 + rng.unit() * 0.2),
        _ => analyte.panic_low.max(0.0) * (0.8 + rng.unit() * 0.1),
    }
}

/// OBX-8 by the value as it is reported, that is after rounding.
pub(super) fn flag(analyte: &Analyte, value: f64) -> &'static str {
    let scale = 10f64.powi(analyte.decimals as i32);
    let value = (value * scale).round() / scale;
    if value >= analyte.panic_high {
        "HH"
    } else if value <= analyte.panic_low {
        "LL"
    } else if value > analyte.high {
        "H"
    } else if value < analyte.low {
        "L"
    } else {
        "N"
    }
}
