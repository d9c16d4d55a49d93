//! What a person types where the offer or the parameter file asks for it: the good is taken, and the wrong is refused by the
//! page and by the template itself, in words that say what to type. The pages are checked in `pages`, the template's
//! constraints and its list `problems` in `template`; `engine` has Azure's own evaluation of it say the same.
//!
//! A check without a row here that it refuses makes a test fail: no check is believed that nobody tried.

mod engine;
mod pages;
mod template;

use serde_json::{Value, json};

/// The values of one parameter, as they are typed: those of a list with commas between them.
struct Typed {
    parameter: &'static str,
    /// What else was chosen, so that this counts.
    beside: fn() -> Value,
    good: &'static [&'static str],
    wrong: &'static [&'static str],
    /// Wrong where only the page knows or only the template does.
    wrong_on_page: &'static [&'static str],
    wrong_in_template: &'static [&'static str],
}

const fn typed(parameter: &'static str, good: &'static [&'static str], wrong: &'static [&'static str]) -> Typed {
    Typed { parameter, beside: || json!({}), good, wrong, wrong_on_page: &[], wrong_in_template: &[] }
}

const ID: &str = "01234567-89ab-cdef-0123-456789abcdef";
const WRONG_IDS: &[&str] = &[
    "jane@example.net",
    "{01234567-89ab-cdef-0123-456789abcdef}",
    "0123456789abcdef0123456789abcdef",
    "O1234567-89ab-cdef-0123-456789abcdef",
    "01234567-89ab-cdef-0123-456789abcdef ",
];
const WRONG_MAILS: &[&str] = &[
    "",
    "alerts",
    "alerts@example",
    "alerts example.net",
    "@example.net",
    "alerts@@example.net",
    "alerts@example.net, ops@example.net",
    "alerts@example.net;ops@example.net",
    "Alerts <alerts@example.net>",
    "mailto:alerts@example.net",
    "alerts@example.net.",
    "alerts@.example.net",
    "alerts@example..net",
    "alerts.@example.net",
    " alerts@example.net",
    "alerts@example.net ",
];
const KEY: &str = "https://contoso-keys.vault.azure.net/keys/assay";

fn with_smtp() -> Value {
    json!({"mail": "smtp", "smtpHost": "smtp.example.net", "mailFrom": "assay@example.net"})
}

fn with_own_key() -> Value {
    json!({"ownVaultName": "contoso-keys", "ownKeyUri": KEY})
}

const TYPED: &[Typed] = &[
    typed(
        "namePrefix",
        &["assay", "abc", "contoso123"],
        &["Assay", "as", "1assay", "contoso-as", "my assay", "assay ", "contosocorporation", "assäy"],
    ),
    typed("alertEmail", &["alerts@example.net", "it.alerts+assay@mail.example.co.uk", "o'brien@example.net", "a@b.cc"], WRONG_MAILS),
    typed("entraClientId", &["", ID], WRONG_IDS),
    typed("ownerObjectId", &["", ID], WRONG_IDS),
    typed(
        "entraDirectories",
        &[ID, "01234567-89ab-cdef-0123-456789abcdef,01234567-89AB-CDEF-0123-456789abcdee"],
        &[
            "",
            "contoso.onmicrosoft.com",
            "01234567-89ab-cdef-0123-456789abcdef, 01234567-89ab-cdef-0123-456789abcdee",
            "01234567-89ab-cdef-0123-456789abcdef;01234567-89ab-cdef-0123-456789abcdee",
        ],
    ),
    Typed {
        beside: with_smtp,
        ..typed(
            "smtpHost",
            &["smtp.example.net", "smtp.office365.com"],
            &["", "smtp", "https://smtp.example.net", "smtp.example.net:587", "smtp.example.net/", "smtp.example.net "],
        )
    },
    Typed { beside: with_smtp, ..typed("mailFrom", &["assay@example.net"], WRONG_MAILS) },
    Typed { beside: with_smtp, wrong_on_page: &["assay user", "assay "], ..typed("smtpUser", &[""], &[]) },
    Typed {
        beside: || {
            let mut all = with_smtp();
            all["smtpUser"] = json!("assay@example.net");
            all
        },
        // Twelve are what certification wants of every such box.
        wrong_on_page: &["elevensigns"],
        ..typed("smtpPassword", &["correct horse battery staple"], &[""])
    },
    Typed {
        // Empty is no cards; the page asks only whoever wants some.
        wrong_on_page: &["", "https://"],
        ..typed(
            "teamsWebhook",
            &["https://prod-12.westus.logic.azure.com:443/workflows/0123/triggers/manual/paths/invoke?api-version=1&sig=abc"],
            &[
                "http://prod-12.westus.logic.azure.com/workflows/0123",
                "prod-12.westus.logic.azure.com/workflows/0123",
                "https://the channel's address",
            ],
        )
    },
    Typed {
        beside: with_own_key,
        ..typed(
            "ownVaultName",
            &["contoso-keys"],
            &[
                "",
                KEY,
                "https://contoso-keys/",
                "contoso_keys",
                "contoso keys",
                "contoso--keys",
                "contoso-keys-",
                "-contoso-keys",
                "1contoso",
                "ct",
                "contoso-keys-of-headquarters",
            ],
        )
    },
    Typed {
        beside: with_own_key,
        wrong_in_template: &["https://contoso-keys.vault.usgovcloudapi.net/keys/assay"],
        ..typed(
            "ownKeyUri",
            &[KEY, "https://Contoso-Keys.vault.azure.net/keys/assay-2027"],
            &[
                "",
                "assay",
                "https://contoso-keys.vault.azure.net/keys/assay/0123456789abcdef0123456789abcdef",
                "https://contoso-keys.vault.azure.net/keys/assay/",
                "https://contoso-keys.vault.azure.net/keys/",
                "https://contoso-keys.vault.azure.net/keys/assay ",
                "https://contoso-keys.vault.azure.net/",
                "https://contoso-keys.vault.azure.net/secrets/assay",
                "https://contoso.vault.azure.net/keys/assay",
                "https://contoso-keys-2.vault.azure.net/keys/assay",
                "https://contoso-keys.managedhsm.azure.net/keys/assay",
                "http://contoso-keys.vault.azure.net/keys/assay",
                "contoso-keys.vault.azure.net/keys/assay",
            ],
        )
    },
    typed("anchorDays", &["1", "2557", "146000"], &["", "0", "-1", "146001", "2,557", "2557.5", "six years"]),
    Typed {
        // The page cannot know where a wider range begins.
        wrong_in_template: &["192.168.1.0/16", "10.90.0.0/8"],
        ..typed(
            "networkPrefix",
            &["10.90.0.0/24", "10.0.0.0/8", "172.16.0.0/12", "172.31.4.0/24", "192.168.0.0/16", "192.168.7.0/24"],
            &[
                "",
                "10.90.0.0",
                "10.90.0.0/25",
                "10.90.0.0/26",
                "10.90.0.1/24",
                "10.0.0.0/7",
                "10.90.0/24",
                "010.90.0.0/24",
                "10.999.0.0/24",
                "10.90.0.0/024",
                "10.90.0.0 /24",
                "10.90.0.0/24 ",
                "10.90.0.0-10.90.0.255",
                "203.0.113.0/24",
                "172.32.0.0/16",
                "172.16.0.0/8",
                "192.168.0.0/8",
                "fd00::/64",
            ],
        )
    },
    Typed {
        // The page's words for a private network are of the two that people have at hand, and it cannot know where a range begins.
        wrong_in_template: &["172.16.0.4", "203.0.113.7/28", "10.0.0.0/16"],
        wrong_on_page: &["203.0.113.7, 198.51.100.4"],
        ..typed(
            "operatorAddresses",
            &["", "203.0.113.7", "203.0.113.0/28", "203.0.113.0/28,198.51.100.4"],
            &[
                "203.0.113.7/32",
                "203.0.113.6/31",
                "0.0.0.0/0",
                "10.0.0.4",
                "192.168.1.10",
                "203.0.113.7,10.0.0.4",
                "203.0.113",
                "203.0.113.256",
                "203.0.113.7;198.51.100.4",
                "203.0.113.7-203.0.113.9",
                "2001:db8::7",
                "office.example.net",
            ],
        )
    },
    Typed { wrong_on_page: &["99999999"], ..typed("monthlyBudget", &["", "0", "750"], &["-5", "1.000", "$750", "750 USD", "ten", "7.5"]) },
    // What only a parameter file says.
    typed("dataBoundary", &["commercial-noCUI"], &["gov-CUI", "commercial", "CUI"]),
    typed("location", &["eastus2"], &["East US 2", "EastUS2", "westus", "usgovvirginia"]),
    typed("allowedLocations", &["eastus2", "eastus2,centralus"], &["", "eastus2,East US", "eastus2,CentralUS", "eastus2,usgovvirginia"]),
    typed("hosting", &["flex", "premium"], &["Flex Consumption", "EP1"]),
    typed("mail", &["acs", "none"], &["smtp.example.net", "ACS "]),
    typed("authenticationContext", &["", "c1", "c99"], &["c0", "c100", "C1", "1", "mfa"]),
    typed(
        "publicUrl",
        &["", "https://assay.example.net"],
        &[
            "assay.example.net",
            "http://assay.example.net",
            "https://assay.example.net/",
            "https://assay.example.net/portal",
            "https://assay",
        ],
    ),
    typed("databaseAccount", &["", "assay-restored"], &["Assay-restored", "assay restored", "assay.documents.azure.com", "as"]),
    typed("dnsServers", &["", "10.0.0.4", "10.0.0.4,168.63.129.16"], &["10.0.0", "10.0.0.256", "dns.example.net", "10.0.0.4/32"]),
    typed("databaseThroughput", &["1000", "4000"], &["500", "4500", "4000 RU"]),
    typed("budgetStart", &["2027-01-01"], &["2027-01-15", "01.01.2027", "2027-1-1", "January"]),
    typed(
        "moreSettings",
        &["", "ASSAY_TEAMS"],
        &["AzureFunctionsJobHost__logging__logLevel__Host.Results", "APPINSIGHTS_INSTRUMENTATIONKEY"],
    ),
    Typed {
        beside: || json!({"mail": "acs", "mailFrom": "assay@example.net"}),
        ..typed("mailDomain", &["", "example.net"], &["example", "example.net ", "@example.net", "contoso.com", "https://example.net"])
    },
    // Who types a domain says from whom mails are.
    Typed { beside: || json!({"mail": "acs"}), ..typed("mailDomain", &[""], &["example.net"]) },
    Typed {
        beside: || json!({"createDnsZones": false}),
        ..typed(
            "hubZonesGroup",
            &["", "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/hub-dns"],
            &[
                "hub-dns",
                "/subscriptions/01234567-89ab-cdef-0123-456789abcdef",
                "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/hub-dns/",
                "/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/hub dns",
                "subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/hub-dns/x",
            ],
        )
    },
    typed("hubZonesGroup", &[""], &["/subscriptions/01234567-89ab-cdef-0123-456789abcdef/resourceGroups/hub-dns"]),
    typed("storageSku", &["Standard_ZRS"], &["Standard_LRS", "Standard_GRS", "Standard_GZRS", "ZRS"]),
    Typed { beside: || json!({"zoneRedundant": false}), ..typed("storageSku", &["Standard_LRS", "Standard_ZRS"], &["Standard_GRS"]) },
    Typed {
        beside: || json!({"allowedLocations": ["eastus2", "centralus"]}),
        ..typed("storageSku", &["Standard_GZRS"], &["Standard_GRS"])
    },
    typed("maxInstances", &["40", "1000"], &["39", "1", "0", "1001"]),
    Typed { beside: || json!({"hosting": "premium"}), ..typed("maxInstances", &["1", "100"], &["101", "0"]) },
    typed("logDays", &["90"], &["7", "1000", "a year"]),
    typed("backupDays", &["7", "30"], &["14"]),
];
