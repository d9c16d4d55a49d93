//! Every setting by name, with its meaning and default: `local.settings.example.json` is compared with this table.

/// In the order in which a person would set them.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "ASSAY_STORE",
        meaning: "where everything is kept: azure (Cosmos DB, Storage, Key Vault) or local (one data folder)",
        default: Some("local"),
    },
    Setting {
        name: "ASSAY_PUBLIC_URL",
        meaning: "the address people use, without the route prefix; links are made from it",
        default: Some("http://127.0.0.1:7071"),
    },
    Setting { name: "ASSAY_DATA", meaning: "local: the data folder", default: Some("data") },
    Setting {
        name: "ASSAY_QUEUE_URL",
        meaning: "the queues: in Azure https://ACCOUNT.queue.core.windows.net; local: a loopback address (set by `assay local`)",
        default: Some("http://127.0.0.1:7072"),
    },
    Setting { name: "ASSAY_QUEUE_TOKEN", meaning: "local: the secret of that address (set by `assay local`)", default: Some("") },
    Setting { name: "ASSAY_CLOUD", meaning: "azure and entra: which cloud: public, government or custom", default: Some("public") },
    Setting {
        name: "ASSAY_CLOUD_PROFILE",
        meaning: "custom cloud: authority=URL;storage=AUDIENCE;exchange=AUDIENCE and, where they are there, graph=URL;portal=URL;cosmos=AUDIENCE",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_CREDENTIAL",
        meaning: "azure: as whom: managed-identity, workload-identity, or developer (az or azd sign-in)",
        default: Some("managed-identity"),
    },
    Setting {
        name: "ASSAY_IDENTITY",
        meaning: "azure: client id of the user-assigned managed identity (or of the workload identity)",
        default: Some(""),
    },
    Setting { name: "ASSAY_COSMOS_URL", meaning: "azure: the Cosmos DB account, https://ACCOUNT.documents.azure.com", default: Some("") },
    Setting { name: "ASSAY_COSMOS_DATABASE", meaning: "azure: the database with the containers", default: Some("assay") },
    Setting { name: "ASSAY_BLOB_URL", meaning: "azure: the blobs, https://ACCOUNT.blob.core.windows.net", default: Some("") },
    Setting {
        name: "ASSAY_DEPLOYMENT_KEY",
        meaning: "azure: the installation's own key, https://VAULT.vault.azure.net/keys/NAME",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_SIGN_IN",
        meaning: "how people sign in: entra (Entra ID), demo (pick a demo person; not in packaged binaries) or none",
        default: Some("none"),
    },
    Setting { name: "ASSAY_ENTRA_CLIENT_ID", meaning: "entra: application (client) id of Assay's app registration", default: Some("") },
    Setting {
        name: "ASSAY_ENTRA_TENANTS",
        meaning: "entra: ids of the directories whose people may sign in, commas between them; the first is the MSP's own",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_ENTRA_CREDENTIAL",
        meaning: "entra: how Assay proves that it is that app: managed-identity (no secret), or secret:NAME of a secret in the vault",
        default: Some("managed-identity"),
    },
    Setting {
        name: "ASSAY_ENTRA_OWNER",
        meaning: "entra: object id, in the first directory, of a person who becomes an owner when they sign in; empty: only who has the app role Owner there",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_ENTRA_AUTH_CONTEXT",
        meaning: "entra: authentication context of Conditional Access (c1 to c99) that must be met before changes of great effect; empty: a sign-in within ten minutes",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_ENTRA_GUESTS",
        meaning: "entra: whether guests may sign in: refuse, or allow (only with one directory)",
        default: Some("refuse"),
    },
    Setting {
        name: "ASSAY_MAIL",
        meaning: "how approvers and owners are mailed: acs (Azure Communication Services), smtp (a mail server), mailbox (each mail a file or blob that a person opens, plain text) or none; empty is mailbox with ASSAY_STORE=local and none with azure",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_ACS_URL",
        meaning: "acs: the endpoint of the resource, https://NAME.communication.azure.com",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_MAIL_FROM",
        meaning: "acs and smtp: the address that mails are from, of a domain of that resource, or one that the server lets Assay use",
        default: Some(""),
    },
    Setting { name: "ASSAY_SMTP_HOST", meaning: "smtp: the mail server, such as smtp.example.net", default: Some("") },
    Setting { name: "ASSAY_SMTP_PORT", meaning: "smtp: its port: 587 with starttls, 465 with implicit as a rule", default: Some("587") },
    Setting {
        name: "ASSAY_SMTP_TLS",
        meaning: "smtp: starttls (required), implicit (TLS from the first byte) or none (only to a server on this machine)",
        default: Some("starttls"),
    },
    Setting { name: "ASSAY_SMTP_USER", meaning: "smtp: the name with which Assay signs in there; empty: it does not", default: Some("") },
    Setting { name: "ASSAY_SMTP_PASSWORD", meaning: "smtp: secret:NAME of the password in the vault", default: Some("") },
    Setting {
        name: "ASSAY_TEAMS",
        meaning: "secret:NAME of the secret in the vault that holds the address of a Teams workflow's webhook: approvers get a card there, and a mail when nobody signs in; empty is no cards",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_NOTICES_PER_MINUTE",
        meaning: "most cards, and as many mails of a mail service, that go out in one minute; more wait, and a fifth is kept for emergencies",
        default: Some("30"),
    },
    Setting {
        name: "ASSAY_NOTICES_PER_HOUR",
        meaning: "most cards, and as many mails of a mail service, that go out in one hour; more wait, and a fifth is kept for emergencies",
        default: Some("100"),
    },
    Setting {
        name: "ASSAY_ACCESS_REVIEW_DAYS",
        meaning: "after how many days the owner looks over again who may do what",
        default: Some("90"),
    },
    Setting {
        name: "ASSAY_DEMO_VENDOR_URL",
        meaning: "loopback address of the demo vendor that answers for every vendor host (demo only)",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_DATA_BOUNDARY",
        meaning: "which data may lie here: commercial-noCUI (no CUI: a copy of what carries a marking is destroyed as soon as it is found) or gov-CUI (Azure Government only: such a copy stays until a person has it destroyed); empty on Azure is commercial-noCUI",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_REGION",
        meaning: "in which Azure region this instance runs, such as usgovvirginia; clients may name regions, and elsewhere their records are not read",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_OFFBOARDING_DAYS",
        meaning: "how many days a client is switched off before an owner can destroy its data keys",
        default: Some("30"),
    },
    Setting {
        name: "ASSAY_BACKUP_DAYS",
        meaning: "how many days back the database can be restored (continuous backup of Cosmos DB: 7 or 30), which a certificate of destruction waits for",
        default: Some("30"),
    },
    Setting {
        name: "ASSAY_VAULT_DAYS",
        meaning: "how many days a deleted key can be recovered in the vault (its soft-delete retention, 7 to 90), which a certificate of destruction waits for, or longer where the vault says so itself",
        default: Some("90"),
    },
    Setting {
        name: "ASSAY_UNSIGNED_KEYS_UNTIL",
        meaning: "for an upgrade from a release that did not sign the records of data keys: the last day (such as 2027-01-31) on which unsigned ones are taken and then signed; empty: none is",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_WITNESS_URL",
        meaning: "the https address of a witness of the audit logs (its submission prefix, C2SP tlog-witness), which others run; empty is none",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_WITNESS_KEY",
        meaning: "the witness's verifier key as NAME+ID+KEY (cosignature/v1, Ed25519), as its operator publishes it",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_METERING_PLAN",
        meaning: "managed application: id of the Marketplace plan to which clients are reported for metered billing (public cloud only); empty: nothing is counted or reported",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_METERING_RESOURCE",
        meaning: "metered billing: the managed application's id, /subscriptions/ID/resourceGroups/NAME/providers/Microsoft.Solutions/applications/NAME (managedBy of its resource group), or the resourceUsageId of its billingDetails",
        default: Some(""),
    },
    Setting {
        name: "ASSAY_METERING_DIMENSION",
        meaning: "metered billing: id of the plan's dimension that counts client tenants under assessment",
        default: Some("clients"),
    },
    Setting {
        name: "ASSAY_METERING_INCLUDED",
        meaning: "metered billing: how many clients of each month the plan's base fee includes",
        default: Some("0"),
    },
    Setting {
        name: "ASSAY_DEADLINE_SECONDS",
        meaning: "an invocation's own deadline; must be shorter than functionTimeout of host.json",
        default: Some("240"),
    },
    Setting {
        name: "ASSAY_MAX_CONCURRENT",
        meaning: "invocations at work at once, HTTP and all others each; more are answered 429",
        default: Some("256"),
    },
    Setting { name: "ASSAY_LOG", meaning: "which log lines are written, such as info or info,assay=debug", default: Some("info") },
];

#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    pub meaning: &'static str,
    pub default: Option<&'static str>,
}
