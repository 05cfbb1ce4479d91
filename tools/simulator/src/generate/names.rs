//! Names and places to invent people from. No value is an ordinary English word, so that a search for leaked
//! identifiers finds leaks and not sentences; nobody here is meant to be anybody.

/// Family names in plain letters.
pub(super) const FAMILY: &[&str] = &[
    "Abernathy",
    "Bartoszek",
    "Castellano",
    "Delacroix",
    "Eisenhauer",
    "Fitzgerald",
    "Gutenberger",
    "Hawthornsby",
    "Ivanenko",
    "Jankowska",
    "Kowalczyk",
    "Lindqvist",
    "Montgomery",
    "Nakashima",
    "Oyelaran",
    "Papadakis",
    "Quisenberry",
    "Rasmussen",
    "Schwarzkopf",
    "Thorvaldsen",
    "Underhilton",
    "Vandermeer",
    "Wojciechowski",
    "Yamaguchi",
    "Zimmermann",
    "Blankenship",
    "Cunningham",
    "Dombrowski",
    "Okonkwo",
    "Villanueva",
];

/// Family names that break naive code: apostrophes, hyphens, several words.
pub(super) const FAMILY_COMPOUND: &[&str] = &[
    "O'Shaughnessy",
    "D'Angelantonio",
    "van der Bergen",
    "de la Cruzado",
    "St. Germaine",
    "Al-Rahmani",
    "Mc Allisterson",
    "Ngata-Whitmoor",
    "N'Diayeh",
    "von und zu Hohenfels",
];

/// Family names within Latin-1.
pub(super) const FAMILY_LATIN1: &[&str] = &[
    "Müller-Lüdenscheidt",
    "Großmann",
    "Åkesson",
    "Núñez",
    "García Márquez",
    "Bjørnstad",
    "Lefèvre",
    "Gonçalves",
    "Jäger",
    "Öztürk",
];

/// Family names that only UTF-8 carries.
pub(super) const FAMILY_UNICODE: &[&str] =
    &["Dvořáková", "Łukaszewicz", "Nguyễn", "Şahinoğlu", "Παπαδόπουλος", "山田"];

/// Given names.
pub(super) const GIVEN_FEMALE: &[&str] = &[
    "Adelheid",
    "Beatrix",
    "Cordelia",
    "Dorothea",
    "Esperanza",
    "Friederike",
    "Guadalupe",
    "Henrietta",
    "Ingeborg",
    "Josephina",
    "Katharina",
    "Leocadia",
    "Anna-Lena",
    "Mariana Sofia",
    "Siobhan",
    "Théodora",
    "Zoë",
];

/// Given names.
pub(super) const GIVEN_MALE: &[&str] = &[
    "Alexandros",
    "Bartholomew",
    "Cornelius",
    "Diedrich",
    "Ebenezer",
    "Ferdinand",
    "Giovanni",
    "Hieronymus",
    "Ignatius",
    "Jeremiah",
    "Kazimierz",
    "Leopold",
    "Jean-Baptiste",
    "Juan Pablo",
    "Nikolai",
    "René",
    "Søren",
];

/// Street names; a house number goes in front.
pub(super) const STREET: &[&str] = &[
    "Quarterhorse Lane",
    "Old Mill Hollow Rd",
    "Saint-Honoré Terrace",
    "Kestrel Ridge Ave",
    "Blackwater Ferry Rd",
    "Thistledown Court",
    "Cottonwood Bluff Dr",
    "Martin L. King Blvd",
    "Copperfield Mews",
    "Whippoorwill Way",
    "Königsallee",
    "Winding Brook Cir Apt 4B",
];

/// City, state and postal code.
pub(super) const CITY: &[(&str, &str, &str)] = &[
    ("Springvale", "MA", "01199"),
    ("Harrowgate", "NY", "10899"),
    ("New Carthage", "OH", "44299"),
    ("Port Evelyn", "WA", "98299"),
    ("Cañada Verde", "CA", "91799"),
    ("Lakemont", "MN", "55499"),
];

/// Payer id, plan name as written in a field (one needs an escape), plan code.
pub(super) const PAYER: &[(&str, &str, &str)] = &[
    ("60054", "Aetherna Health Plan", "PPO"),
    ("62308", "Cygnet Mutual", "HMO"),
    ("00590", "Blue Heron & Sons Assurance", "PPO"),
    ("MCRB1", "Medicare Part B", "MC"),
    ("77350", "State Medical Assistance", "MD"),
];

/// Doctor number, family and given name.
pub(super) const DOCTOR: &[(&str, &str, &str)] = &[
    ("1003000126", "Welbyson", "Marcus"),
    ("1093817465", "Grayling", "Meredithe"),
    ("1326051285", "Kildarey", "Jameson"),
    ("1447286533", "Quincannon", "Robertus"),
    ("1568493027", "Houseman", "Gregorius"),
];

/// Ward codes.
pub(super) const WARD: &[&str] = &["MED2", "SURG4", "ICU1", "CARD3", "ONC5", "PED6", "ORTH7"];
