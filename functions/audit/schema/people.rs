//! Who can sign in, who did, and who may do what.

use super::{
    Area, Field,
    Form::{Flag, Map, Text, Time},
    MAPS,
    Outcome::{Alarm, Done, Refused},
    TEXTS, always, kind, sometimes,
};

const NAME: Field = always("name", Text, "the person's name at that time");
const TID: Field = sometimes("tid", Text, "the directory that the person signs in by, Entra's tid");
const OID: Field = sometimes("oid", Text, "the person there, Entra's oid");
const GUEST: Field = sometimes("guest", Flag, "whether they are a guest there, of another organization");
const PERSON: &str = "person ID";

pub(super) const SIGN_IN: Area = Area {
    name: "sign-in",
    title: "Signing in",
    kinds: &[
        kind(
            "session.signed-in",
            Done,
            PERSON,
            "signed in",
            &[
                NAME,
                always("how", Text, "by Entra ID, or the demo's choice of a person"),
                always("ends", Time, "when the session ends at the latest"),
                always("proof", Map, "when and how they proved who they are, as the authority says it: at, contexts (acrs), methods (amr)"),
                TID,
                OID,
            ],
        ),
        kind("session.signed-out", Done, PERSON, "signed out", &[]),
        kind(
            "session.ended",
            Done,
            PERSON,
            "closed a session whose eight hours were over",
            &[sometimes("why", Text, "why it ended before its time"), sometimes("ended", Time, "when its time was over")],
        ),
        kind("session.refused", Refused, "who was refused", "was refused at sign-in; repeats within the hour are counted, not listed", WHY),
        kind("form.refused", Refused, "who was refused", "was refused a form; repeats within the hour are counted, not listed", WHY),
    ],
};

pub(super) const WHY: &[Field] = &[always("why", Text, "why, in a word or two of ours")];

pub(super) const PEOPLE: Area = Area {
    name: "people",
    title: "People and what they may do",
    kinds: &[
        kind(
            "person.asked",
            Done,
            PERSON,
            "asked to be let in",
            &[
                NAME,
                always("email", Text, "their address, as their directory gives it"),
                always("sign_in_name", Text, "the name they sign in with"),
                GUEST,
                TID,
                OID,
            ],
        ),
        kind("person.turned_away", Refused, PERSON, "did not let somebody in", &[NAME, always("email", Text, "their address"), TID, OID]),
        kind(
            "person.added",
            Done,
            PERSON,
            "added somebody",
            &[
                NAME,
                sometimes("email", Text, "their address"),
                sometimes("operates", Flag, "whether they run the MSP's tools"),
                sometimes("owner", Flag, "whether they are an owner"),
                sometimes("why", Text, "what made them an owner"),
                sometimes("same_as", Text, "whose other account this is, by id, as an owner said when they were here before"),
                GUEST,
                TID,
                OID,
            ],
        ),
        kind(
            "person.changed",
            Done,
            PERSON,
            "changed what is known of somebody",
            &[
                NAME,
                always("before", Map, "name, address, whether they run the tools, and as whom else they are known, until then"),
                always("after", Map, "the same from then on"),
                TID,
                OID,
            ],
        ),
        kind("person.ownership_noted", Done, PERSON, "is an owner as before", OWNER),
        kind("person.ownership_ended", Done, PERSON, "is no owner any more", OWNER),
        kind(
            "person.access_ended",
            Done,
            PERSON,
            "took away somebody's access",
            &[
                NAME,
                sometimes("why", Text, "why, where nobody took it by hand"),
                sometimes("owner", Flag, "whether they were an owner"),
                sometimes("clients", TEXTS, "the clients for which they had roles, by id"),
            ],
        ),
        kind("people.access_reviewed", Done, "installation", "looked over who can sign in", REVIEW),
        kind("client.access_reviewed", Done, "client ID", "looked over who may do what for the client", REVIEW),
        kind(
            "client.grants_changed",
            Done,
            "client ID",
            "changed who may do what for the client",
            &[always("before", MAPS, "person, roles and last day of each, until then"), always("after", MAPS, "the same from then on")],
        ),
        kind(
            "access.put_back",
            Alarm,
            "client ID or person ID",
            "found that access in the database is not as this log tells it: an earlier record was put back, or one is gone",
            &[always("why", Text, "what the database has otherwise")],
        ),
        kind(
            "client.held",
            Refused,
            "who was refused",
            "put back messages of a client that is switched off; repeats within the hour are counted",
            WHY,
        ),
        kind(
            "geo.refused",
            Refused,
            "who was refused",
            "was refused a client's records, which may be read in other regions only; repeats within the hour are counted",
            WHY,
        ),
        kind("demo.marked", Alarm, "store", "made this a demo: all of it says DEMO from here on", &[]),
    ],
};

const OWNER: &[Field] =
    &[NAME, always("owner", Flag, "whether they are an owner now"), always("why", Text, "what that rests on"), TID, OID];

const REVIEW: &[Field] = &[
    sometimes("kept", TEXTS, "people whose access stays, by id"),
    sometimes("ended", TEXTS, "people whose access ends, by id"),
    sometimes("changed", MAPS, "people who got another last day: person and until"),
];
