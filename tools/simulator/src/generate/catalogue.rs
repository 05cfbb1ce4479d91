//! What the laboratory measures: codes, units, ranges, panic limits.

/// One numeric test.
#[derive(Debug)]
pub(super) struct Analyte {
    /// LOINC code and name.
    pub(super) loinc: &'static str,
    pub(super) name: &'static str,
    /// The laboratory's own code, sent as alternate identifier.
    pub(super) local: &'static str,
    pub(super) unit: &'static str,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Panic limits: at or beyond them a result is LL or HH.
    pub(super) panic_low: f64,
    pub(super) panic_high: f64,
    pub(super) decimals: usize,
}

/// A panel as ordered: its code and its analytes.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) loinc: &'static str,
    pub(super) name: &'static str,
    pub(super) analytes: &'static [Analyte],
}

const fn analyte(
    (loinc, name, local): (&'static str, &'static str, &'static str),
    unit: &'static str,
    (low, high): (f64, f64),
    (panic_low, panic_high): (f64, f64),
    decimals: usize,
) -> Analyte {
    Analyte { loinc, name, local, unit, low, high, panic_low, panic_high, decimals }
}

/// The numeric panels.
pub(super) const PANELS: &[Panel] = &[
    Panel {
        loinc: "51990-0",
        name: "Basic metabolic panel",
        analytes: &[
            analyte(("2345-7", "Glucose", "GLU"), "mg/dL", (70.0, 99.0), (45.0, 450.0), 0),
            analyte(("2951-2", "Sodium", "NA"), "mmol/L", (136.0, 145.0), (120.0, 160.0), 0),
            analyte(("2823-3", "Potassium", "K"), "mmol/L", (3.5, 5.1), (2.8, 6.2), 1),
            analyte(("2075-0", "Chloride", "CL"), "mmol/L", (98.0, 107.0), (80.0, 120.0), 0),
            analyte(("2028-9", "CO2, total", "CO2"), "mmol/L", (22.0, 29.0), (10.0, 40.0), 0),
            analyte(("3094-0", "Urea nitrogen", "BUN"), "mg/dL", (7.0, 20.0), (2.0, 100.0), 0),
            analyte(("2160-0", "Creatinine", "CREA"), "mg/dL", (0.6, 1.2), (0.2, 7.4), 2),
            analyte(("17861-6", "Calcium", "CA"), "mg/dL", (8.6, 10.2), (6.5, 13.0), 1),
        ],
    },
    Panel {
        loinc: "58410-2",
        name: "CBC panel - Blood by Automated count",
        analytes: &[
            analyte(("6690-2", "Leukocytes", "WBC"), "10*3/uL", (4.0, 10.5), (1.5, 50.0), 1),
            analyte(("789-8", "Erythrocytes", "RBC"), "10*6/uL", (4.2, 5.8), (1.5, 8.0), 2),
            analyte(("718-7", "Hemoglobin", "HGB"), "g/dL", (12.0, 17.0), (6.6, 20.0), 1),
            analyte(("4544-3", "Hematocrit", "HCT"), "%", (36.0, 51.0), (18.0, 61.0), 1),
            analyte(("777-3", "Platelets", "PLT"), "10*3/uL", (150.0, 400.0), (31.0, 999.0), 0),
        ],
    },
    Panel {
        loinc: "24325-3",
        name: "Hepatic function panel",
        analytes: &[
            analyte(("1742-6", "ALT", "ALT"), "U/L", (7.0, 56.0), (0.0, 1000.0), 0),
            analyte(("1920-8", "AST", "AST"), "U/L", (10.0, 40.0), (0.0, 1000.0), 0),
            analyte(("6768-6", "Alkaline phosphatase", "ALP"), "U/L", (44.0, 147.0), (0.0, 1000.0), 0),
            // The micro sign is Latin-1: a unit, not a name, brings the first non-ASCII byte into many feeds.
            analyte(("14631-6", "Bilirubin.total", "TBIL"), "µmol/L", (3.0, 21.0), (0.0, 257.0), 1),
            analyte(("1751-7", "Albumin", "ALB"), "g/dL", (3.5, 5.0), (1.5, 7.0), 1),
        ],
    },
    Panel {
        loinc: "34528-0",
        name: "PT panel",
        analytes: &[
            analyte(("5902-2", "Prothrombin time", "PT"), "s", (11.0, 13.5), (5.0, 60.0), 1),
            analyte(("6301-6", "INR", "INR"), "{INR}", (0.8, 1.2), (0.4, 5.0), 1),
        ],
    },
    Panel {
        loinc: "6598-7",
        name: "Troponin T.cardiac",
        analytes: &[analyte(("6598-7", "Troponin T.cardiac", "TROPT"), "ng/mL", (0.0, 0.03), (-1.0, 0.4), 3)],
    },
];

/// Organism code (SNOMED CT) and name.
pub(super) const ORGANISMS: &[(&str, &str)] = &[
    ("112283007", "Escherichia coli"),
    ("3092008", "Staphylococcus aureus"),
    ("56415008", "Klebsiella pneumoniae"),
    ("52499004", "Pseudomonas aeruginosa"),
];

/// Antibiotic susceptibility tests: LOINC and name.
pub(super) const ANTIBIOTICS: &[(&str, &str)] = &[
    ("18864-9", "Ampicillin"),
    ("18906-8", "Ciprofloxacin"),
    ("18895-3", "Ceftriaxone"),
    ("18928-2", "Gentamicin"),
];
