//! What is proposed, what people decide, what is carried out, and by which policy.

use super::{
    Area, Field,
    Form::{Flag, Map, Number, Text, Time},
    MAPS,
    Outcome::{Alarm, Done, Refused},
    TEXTS, always, kind, sometimes,
};

const VERSION: Field = always("version", Number, "the proposal's version");
const HASH: Field = always("hash", Text, "SHA-256 over exactly what is proposed, in hex");
const PROPOSAL: &str = "proposal ID";

pub(super) const PROPOSALS: Area = Area {
    name: "proposals",
    title: "Proposals and decisions",
    kinds: &[
        kind(
            "proposal.staged",
            Done,
            PROPOSAL,
            "asked for something",
            &[
                always("kind", Text, "what is asked for, such as mark_objective"),
                always("subject", Text, "what it is about, such as an objective's id"),
                HASH,
                VERSION,
                always("level", Text, "how it is gated, L0 to L3"),
            ],
        ),
        kind(
            "proposal.revised",
            Done,
            PROPOSAL,
            "brought a proposal up to date; its question is the same",
            &[
                VERSION,
                HASH,
                always("before", Text, "the hash of the version before"),
                always("approvals_void", Number, "answers that the version before had, and that do not count any more"),
                sometimes("level", Text, "how it is gated from then on, where it would have run by itself before"),
                sometimes("level_before", Text, "how it was gated then"),
            ],
        ),
        kind(
            "proposal.superseded",
            Done,
            PROPOSAL,
            "withdrew a proposal: new evidence changed it",
            &[
                VERSION,
                HASH,
                sometimes("by", Text, "the proposal that stands in its place"),
                always(
                    "cause",
                    Text,
                    "why: new evidence, evidence that grew too old, a person who asked about the same, or a score that changed",
                ),
            ],
        ),
        kind("proposal.withdrawn", Done, PROPOSAL, "took back what they had asked", &[VERSION, HASH]),
        kind(
            "proposal.expired",
            Refused,
            PROPOSAL,
            "closed a proposal whose time was over",
            &[VERSION, HASH, always("was_approved", Flag, "whether it was approved and only not carried out in time")],
        ),
        kind("proposal.approved", Done, PROPOSAL, "approved a proposal", DECISION),
        kind("proposal.rejected", Refused, PROPOSAL, "rejected a proposal", DECISION),
        kind("proposal.glass_broken", Alarm, PROPOSAL, "approved a proposal alone, in an emergency", DECISION),
        kind("proposal.recorded", Done, PROPOSAL, "recorded that a person did what was proposed", DECISION),
        kind("proposal.upheld", Done, PROPOSAL, "reviewed what was carried out: it stands", DECISION),
        kind("proposal.overridden", Refused, PROPOSAL, "ordered what was carried out to be undone", DECISION),
        kind("proposal.escalated", Done, PROPOSAL, "asked others to review what was carried out", DECISION),
        kind("proposal.executed", Done, PROPOSAL, "carried out what was approved", RUN),
        kind("proposal.undone", Done, PROPOSAL, "undid what was carried out", RUN),
        kind(
            "proposal.refused",
            Refused,
            PROPOSAL,
            "did not carry out what was approved: something no longer held",
            &[VERSION, HASH, always("why", Text, "what no longer held")],
        ),
        kind("proposal.failed", Alarm, PROPOSAL, "could not carry out what was approved, and tries no more", WHY_NOT),
        kind(
            "proposal.marks_remade",
            Alarm,
            PROPOSAL,
            "found that marks by which a proposal is found were deleted, and made them again",
            &[VERSION, HASH, always("marks", TEXTS, "which: open, approved, undoable, review")],
        ),
        kind("proposal.not_undone", Alarm, PROPOSAL, "could not undo what was carried out: it stands", WHY_NOT),
        kind(
            "proposal.rolled_back",
            Done,
            PROPOSAL,
            "took back what a proposal had done",
            &[VERSION, HASH, always("by", Text, "the proposal that took it back")],
        ),
        kind("objective.marked", Done, "objective ID", "marked an objective", FINDING),
        kind("objective.rolled_back", Done, "objective ID", "took back a finding", FINDING),
    ],
};

/// What stands beside every answer of a person. Who they are is the entry's actor; how they signed in stands in the receipt.
const DECISION: &[Field] = &[
    VERSION,
    always("hash", Text, "the hash that the person was shown"),
    always("name", Text, "the person's name at that time"),
    always("comment", Text, "what the person wrote with it; may be empty"),
    sometimes("on_behalf_of", Text, "for whom the person stood in"),
    always("progress", Text, "how many of how many approvals there were then, in words"),
    always("evidence", TEXTS, "the hashes of the records that a deed is shown by"),
    sometimes(
        "receipt",
        Map,
        "the signed receipt: statement (what was signed, with who the person is, when they signed in and which authentication context was met), kid (the key) and signature",
    ),
    sometimes("shown_at", Text, "when the page was shown to the person (RFC 3339)"),
    sometimes("viewed_ms", Number, "for how long, in thousandths of a second"),
    sometimes("because", Text, "the reason that the person chose from the list"),
];

const RUN: &[Field] = &[
    VERSION,
    HASH,
    always("kind", Text, "what was done, such as mark_objective"),
    always("level", Text, "how it was gated, L0 to L3"),
    always("operation", Text, "the key by which it is done once only"),
];

const WHY_NOT: &[Field] = &[VERSION, HASH, always("why", Text, "what was in the way")];

const FINDING: &[Field] = &[
    always("objective", Text, "the objective's id"),
    always("before", Text, "the finding until then, in words"),
    always("after", Text, "the finding from then on"),
    always("proposal", Text, "the proposal that led to it"),
    always("evidence", MAPS, "the records it rests on: record and hash of each"),
];

pub(super) const NOTICES: Area = Area {
    name: "notices",
    title: "Telling people",
    kinds: &[
        kind("proposal.notified", Done, PROPOSAL, "told approvers about a proposal", TOLD),
        kind("proposal.reminded", Done, PROPOSAL, "reminded approvers of a proposal", TOLD),
        kind("proposal.escalated_notice", Done, PROPOSAL, "told further people that a proposal was not decided yet", TOLD),
        kind("proposal.glass_told", Done, PROPOSAL, "told people that one person approved a proposal alone", TOLD),
        kind("proposal.review_overdue", Alarm, PROPOSAL, "told people that a review is overdue", TOLD),
        kind("proposal.ran_told", Done, PROPOSAL, "told people of what was done without asking", TOLD),
        kind("proposal.failure_told", Done, PROPOSAL, "told people that something was not carried out, or not undone", TOLD),
        kind("proposal.change_told", Done, PROPOSAL, "told who had approved a proposal that it changed", TOLD),
        kind("notice.accepted", Done, PROPOSAL, "told somebody about a proposal", NOTICE),
        kind("notice.refused", Alarm, PROPOSAL, "could not tell somebody about a proposal", NOTICE),
        kind("notice.not_needed", Done, PROPOSAL, "did not mail an approver about a proposal: they had looked at it", NOTICE),
        kind("notice.too_late", Alarm, PROPOSAL, "could not tell somebody about a proposal before its time was over", NOTICE),
        kind(
            "delivery.tested",
            Done,
            "installation",
            "tested how people are told",
            &[sometimes("teams", Text, TRIED), sometimes("mail", Text, TRIED)],
        ),
        kind(
            "notice.in_the_way",
            Alarm,
            PROPOSAL,
            "found something that it had not written where a notice is kept, and took it away",
            &[always("record", Text, "which record was taken away")],
        ),
    ],
};

const TRIED: &str = "how the service answered: accepted, refused, no_answer, no_room or no_address; nothing: it is off";

const TOLD: &[Field] = &[
    VERSION,
    always("mailed", TEXTS, "the people who are told, by id"),
    always("unreachable", TEXTS, "the people without an address, by id"),
    always("cards", Number, "cards for the Teams channel"),
    sometimes("queued", Number, "mails and cards that were put in the queue; since version 2"),
];

const NOTICE: &[Field] = &[
    always("channel", Text, "mail or teams"),
    VERSION,
    always("together", Number, "how many proposals the same message told of"),
    sometimes("why", Text, "why it was not taken"),
];

pub(super) const POLICY: Area = Area {
    name: "policy",
    title: "Approval policy",
    kinds: &[
        kind(
            "policy.changed",
            Done,
            "policy",
            "changed the approval policy",
            &[
                always("version", Number, "the policy's new version"),
                always("proposal", Text, "the approved proposal that changed it"),
                always("changes", TEXTS, "each change in words"),
                always("before", Map, "the whole policy until then"),
                always("after", Map, "the whole policy from then on"),
            ],
        ),
        kind("policy.signed", Done, "policy", "signed the approval policy, which an earlier release had stored", POLICY_KEPT),
        kind("policy.restored", Alarm, "policy", "put the approval policy back, as it was approved", POLICY_KEPT),
        kind(
            "policy.unsound",
            Alarm,
            "policy",
            "found that the approval policy is not as it was approved",
            &[always("why", Text, "what is wrong with it")],
        ),
        kind("approval.delegated", Done, "person ID", "agreed to stand in for another approver for a while", STANDING_IN),
        kind("approval.stand_in_asked", Done, "person ID", "asked another approver to stand in for a while", STANDING_IN),
        kind("approval.stand_in_declined", Done, "person ID", "does not stand in for another approver, or no longer", STANDING_IN),
        kind("approval.stand_in_ended", Done, "person ID", "ended or shortened that another approver stands in", STANDING_IN),
        kind(
            "rule.gate_changed",
            Done,
            "rule NAME",
            "gates what Assay suggests otherwise than before",
            &[
                always("rule", Text, "whose suggestions: action and objective"),
                always("seq", Number, "the entry of this log that brought it about"),
                always("sign", Text, "what the counts show, such as drift or recovered"),
                always("before", Map, "the gating until then"),
                always("after", Map, "the gating from then on"),
                always("labels", Number, "decisions of people since the change before"),
                always("overrides", Number, "of these, against the suggestion"),
                always("cusum", Number, "the sum of the drift alarm, in millionths"),
                always("reviewers", Number, "different people who decided"),
            ],
        ),
        kind(
            "rule.gates_replayed",
            Done,
            "rules",
            "counted the log anew, and gates rules otherwise for it",
            &[
                always("rules", MAPS, "rule, level before and level after of each; no level is the one at which its kind begins"),
                always("without", Number, "how many people's decisions teach nothing"),
            ],
        ),
        kind(
            "rule.accepted",
            Done,
            "rule NAME",
            "let a rule run with less approval, as was proposed and approved",
            &[
                always("rule", Text, "whose suggestions: action and what it is about"),
                always("level", Text, "how it may be gated from then on, L0 to L2"),
                always("proposal", Text, "the proposal that led to it"),
                always("by", Text, "who gave the last approval, by id"),
            ],
        ),
        kind(
            "sample.reviewed",
            Done,
            "sample ID",
            "looked at what ran without an approval",
            &[
                always("rule", Text, "what ran: action and what it is about"),
                always("level", Text, "how it was gated, L0 or L1"),
                always("agrees", Flag, "whether the person says that it holds"),
                always("name", Text, "the person's name at that time"),
                sometimes("place", Text, "the entry that says that it ran, and the number within it; .t: a test item"),
                sometimes("record", Text, "the record that was taken in, by its key"),
                sometimes("hash", Text, "SHA-256 of what was shown, in hex"),
                sometimes("proposal", Text, "the proposal that ran"),
                sometimes("test_item", Flag, "whether it was wrong on purpose, to see whether people look"),
                sometimes("shown", Text, "of such a one: the record that was shown under its name"),
                sometimes("shown_at", Text, "when the page was shown to the person (RFC 3339)"),
                sometimes("viewed_ms", Number, "for how long, in thousandths of a second"),
                sometimes("because", Text, "the reason that the person chose from the list"),
            ],
        ),
        kind(
            "sample.lapsed",
            Done,
            "sample",
            "took what nobody had looked at in 30 days from the list of what ran without an approval",
            &[always("items", TEXTS, "the items, by id")],
        ),
    ],
};

const STANDING_IN: &[Field] = &[
    always("from", Text, "whose place it is, by id"),
    always("to", Text, "who stands in, by id"),
    always("until", Time, "until when it holds, or would"),
];

const POLICY_KEPT: &[Field] =
    &[always("version", Number, "the policy's version"), sometimes("proposal", Text, "the approved proposal that made it")];
