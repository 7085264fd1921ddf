//! Invented names.

/// An organization: name, time zone, markup on what the provider charges,
/// percent.
pub(super) struct OrganizationName {
    pub(super) name: &'static str,
    pub(super) time_zone: &'static str,
    pub(super) markup_percent: i128,
}

const fn organization(
    name: &'static str,
    time_zone: &'static str,
    markup_percent: i128,
) -> OrganizationName {
    OrganizationName { name, time_zone, markup_percent }
}

/// From the largest to the smallest.
pub(super) const ORGANIZATIONS: [OrganizationName; 20] = [
    organization("Alder Freight", "America/New_York", 20),
    organization("Birch Robotics", "Europe/Berlin", 20),
    organization("Cedar Health", "America/Chicago", 25),
    organization("Dogwood Games", "America/Los_Angeles", 15),
    organization("Elm Insurance", "Europe/London", 20),
    organization("Fir Semiconductors", "Asia/Tokyo", 20),
    organization("Ginkgo Travel", "Asia/Singapore", 30),
    organization("Hazel Foods", "Europe/Paris", 20),
    organization("Ironwood Energy", "America/Denver", 10),
    organization("Juniper Legal", "Europe/Dublin", 35),
    organization("Kapok Media", "America/Sao_Paulo", 20),
    organization("Larch Analytics", "Europe/Warsaw", 20),
    organization("Maple Learning", "America/Toronto", 0),
    organization("Neem Biotech", "Asia/Kolkata", 20),
    organization("Oak Retail", "Australia/Sydney", 20),
    organization("Pine Telecom", "Europe/Madrid", 15),
    organization("Quince Design", "Europe/Stockholm", 20),
    organization("Rowan Payments", "Asia/Dubai", 25),
    organization("Spruce Housing", "Pacific/Auckland", 20),
    organization("Teak Marine", "UTC", 20),
];

/// A team, its department and that department's cost center.
pub(super) const TEAMS: [(&str, &str, &str); 10] = [
    ("Platform", "Engineering", "cc-100"),
    ("Product", "Engineering", "cc-110"),
    ("Data", "Engineering", "cc-120"),
    ("Support", "Operations", "cc-200"),
    ("Research", "Research", "cc-300"),
    ("Mobile", "Engineering", "cc-130"),
    ("Marketing", "Growth", "cc-400"),
    ("Finance Systems", "Operations", "cc-210"),
    ("Security", "Engineering", "cc-140"),
    ("Sales Tools", "Growth", "cc-410"),
];

pub(super) const FIRST_NAMES: [&str; 32] = [
    "Ada", "Amir", "Ana", "Ben", "Chidi", "Clara", "Dai", "Eda", "Elif", "Emil", "Farah", "Goran",
    "Hana", "Ines", "Ivo", "Jun", "Kaya", "Lars", "Leila", "Marta", "Mei", "Nils", "Noor", "Olga",
    "Omar", "Priya", "Rafa", "Sana", "Tariq", "Uma", "Vera", "Yuki",
];

pub(super) const LAST_NAMES: [&str; 32] = [
    "Abara", "Aoki", "Bauer", "Bianchi", "Costa", "Dahl", "Eriksen", "Farouk", "Garcia", "Haas",
    "Ito", "Jansen", "Kaur", "Keller", "Kovacs", "Larsen", "Lopez", "Mori", "Moreau", "Nair",
    "Novak", "Okoye", "Petrov", "Quispe", "Rossi", "Sato", "Silva", "Tan", "Ueda", "Vidal",
    "Weber", "Yilmaz",
];

pub(super) const TOPICS: [&str; 10] = [
    "debugging",
    "code review",
    "refactoring",
    "tests",
    "documentation",
    "data analysis",
    "translation",
    "planning",
    "customer reply",
    "migration",
];

pub(super) const FEATURES: [&str; 5] = ["chat", "agent", "completion", "review", "batch"];

pub(super) const PROJECTS: [&str; 12] = [
    "atlas", "beacon", "cobalt", "delta", "ember", "fjord", "granite", "harbor", "iris", "jetty",
    "kelp", "lumen",
];

pub(super) const ENVIRONMENTS: [&str; 3] = ["development", "production", "staging"];
