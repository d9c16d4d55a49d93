//! Why an event does not move a proposal, in types for the caller and in sentences for people.

use time::OffsetDateTime;

use super::{
    event::Verdict,
    machine::MAX_COMMENT,
    policy::{BREAK_GLASS_REASON, Unsound},
    state::Cause,
};
use crate::tenancy::ProposalId;

/// Why an event does not move a proposal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("already decided")]
    AlreadyDecided { name: String, approved: bool, at: OffsetDateTime },
    #[error("expired")]
    Expired { at: OffsetDateTime },
    #[error("superseded")]
    Superseded { by: Option<ProposalId>, cause: Cause },
    #[error("withdrawn by who asked")]
    Withdrawn,
    /// It ran by its level, or was done by a person.
    #[error("it has run already")]
    HasRun,
    /// Who asks does not decide.
    #[error("the requester cannot decide")]
    NotYours,
    /// Nor does whose evidence is judged.
    #[error("the owner of the evidence cannot decide")]
    EvidenceYours { title: String },
    /// Nor who stands for one of them.
    #[error("a delegate of the requester or of the evidence's owner cannot decide")]
    DelegateOfExcluded,
    #[error("not an approver of this client")]
    NotApprover,
    /// One human gives one approval.
    #[error("this voice has been counted")]
    SameVoice { name: String },
    /// Found when it was to run: whose approval it was stands, or stood, in for one of them.
    #[error("an approval by a delegate of the requester or of the evidence's owner")]
    StoodForExcluded { name: String },
    /// Found when it was to run: no delegation held when this was answered.
    #[error("answered in the place of somebody who had not asked for it")]
    StoodInForNobody { name: String },
    /// To agree to, or to lay down.
    #[error("not asked to stand in")]
    NotAskedToStandIn,
    #[error("too many times of standing in are remembered")]
    StoodInTooOften,
    #[error("no delegation holds")]
    NoDelegation { name: String },
    /// A group's own place is filled by one of the group.
    #[error("a stand-in from outside the group")]
    NotOfGroup { group: String, name: String },
    /// It changed after the page was shown.
    #[error("another version was seen")]
    WrongVersion { current: u32 },
    #[error("another hash was seen")]
    WrongHash,
    #[error("a comment is needed")]
    CommentNeeded { verdict: Verdict },
    #[error("the comment is too long")]
    CommentTooLong,
    #[error("the comment carries a CUI marking")]
    CommentMarked,
    #[error("the sign-in is too old for this")]
    SignInTooOld { minutes: u32 },
    /// The settings ask for an authentication context where something has great effect.
    #[error("the sign-in is not strong enough for this")]
    SignInTooWeak,
    #[error("not one of those who may break the glass")]
    MayNotBreakGlass,
    #[error("the glass is broken in one's own name")]
    GlassForAnother,
    #[error("the reason to break the glass says too little")]
    BreakGlassReason,
    /// L3.
    #[error("only a person does this, outside")]
    HumanOnly,
    /// Below L2 there is nothing to approve, and below L3 nothing to record as done.
    #[error("its level does not ask for this answer")]
    NotAsked,
    /// A deed (L3) is its doer's own.
    #[error("a deed is recorded in one's own name")]
    DeedForAnother,
    #[error("what was done is recorded with evidence")]
    EvidenceNeeded,
    #[error("the time to undo is over")]
    UndoOver,
    #[error("only who asked can take it back")]
    NotRequester,
    #[error("nobody approved it")]
    NotApproved,
    /// Of the approvals that count there are too few.
    #[error("the quorum is not reached")]
    QuorumMissing { words: String },
    /// The stored bytes are not those that were hashed.
    #[error("the stored action does not match its hash")]
    Tampered,
    /// Not signed, or not for this.
    #[error("a receipt does not verify")]
    NotSigned { name: String },
    /// Its hash was made by another release and does not say all that it must.
    #[error("the hash is of another form")]
    OtherForm,
    /// The policy asks something else now.
    #[error("the policy changed")]
    PolicyChanged,
    /// The policy itself is not as it was approved.
    #[error("the policy is unsound: {0}")]
    PolicyUnsound(Unsound),
    #[error("who approved it may not approve any more")]
    AuthorityGone { name: String },
    #[error("evidence changed after the approval")]
    EvidenceChanged { titles: Vec<String> },
    /// What the proposal refers to does not count any more; it can still be rejected.
    #[error("evidence is too old to count")]
    EvidenceStale { titles: Vec<String> },
    #[error("not due yet")]
    NotDue,
    /// An outward action's call may have had its effect.
    #[error("it has begun")]
    Begun,
}

impl Refusal {
    /// One sentence for the person who asked, without the way on.
    pub fn sentence(&self) -> String {
        match self {
            Self::AlreadyDecided { name, approved, .. } => {
                format!("{name} has already {} this.", if *approved { "approved" } else { "rejected" })
            }
            Self::Expired { .. } => {
                "This proposal has expired: the time to decide or to carry it out is over, and nothing was done.".into()
            }
            Self::Superseded { by, cause } => cause.sentence(by.is_some()).into(),
            Self::Withdrawn => "Who asked took it back, so there is nothing to decide.".into(),
            Self::HasRun => "This was done already.".into(),
            Self::NotYours => "You asked for this, so somebody else decides it.".into(),
            Self::EvidenceYours { title } => {
                format!("You filed \u{201c}{title}\u{201d}, on which this rests, so somebody else decides it.")
            }
            Self::DelegateOfExcluded => {
                "You stand in for somebody who may not decide this, or did after it was asked, so somebody else approves it. You can reject it.".into()
            }
            Self::NotApprover => "Only an approver of this client can decide this.".into(),
            Self::SameVoice { name } => format!("{name} has approved this already; another person's approval is still wanted."),
            Self::StoodForExcluded { name } => {
                format!("{name} stood in for somebody who may not decide this after it was asked, so that approval does not count.")
            }
            Self::StoodInForNobody { name } => format!("When {name} answered, nobody had agreed to stand in, so that answer does not count."),
            Self::NotAskedToStandIn => "Between the two of you nobody is asked to stand in, or does, any more, so there is nothing to answer or to end.".into(),
            Self::StoodInTooOften => {
                "The two of you have changed this too often lately. It can be agreed to again when the oldest of these times is some months ago.".into()
            }
            Self::NoDelegation { name } => format!("{name} has not asked you to stand in at this time, or you have not agreed to it. Nothing was recorded."),
            Self::NotOfGroup { group, name } => format!(
                "One approval has to come from \u{201c}{group}\u{201d}. You stand in for {name} and are not in it, so it has to be {name} or another member. Nothing was recorded; you can answer in your own name."
            ),
            Self::WrongVersion { .. } | Self::WrongHash => {
                "This proposal changed after you opened it. Nothing was recorded; look at what it says now.".into()
            }
            Self::CommentNeeded { verdict: Verdict::Reject } => {
                "Say why you reject it: the comment is needed and kept in the audit trail.".into()
            }
            Self::CommentNeeded { .. } => "A comment is needed here, and kept in the audit trail.".into(),
            Self::CommentMarked => "The comment carries a CUI marking; nothing was kept. Say it without.".into(),
            Self::CommentTooLong => format!("The comment is longer than {MAX_COMMENT} characters. Nothing was recorded."),
            Self::SignInTooOld { minutes } => {
                format!("This needs a sign-in of the last {minutes} minutes. Nothing was recorded: confirm that it is you and decide then.")
            }
            Self::SignInTooWeak => "This needs a stronger sign-in than the one you have. Nothing was recorded.".into(),
            Self::MayNotBreakGlass => "The policy does not name you among those who may approve alone in an emergency.".into(),
            Self::GlassForAnother => {
                "In an emergency you approve alone in your own name, in nobody\u{2019}s place. Nothing was recorded: choose \u{201c}My own\u{201d} and send it again."
                    .into()
            }
            Self::BreakGlassReason => {
                format!("Say in at least {BREAK_GLASS_REASON} characters why this cannot wait: others review it within a day.")
            }
            Self::HumanOnly => "A person does this outside Assay and records it here with evidence; Assay never does it.".into(),
            Self::NotAsked => "The policy does not ask for this answer here.".into(),
            Self::DeedForAnother => "Who did it records it in their own name, in nobody\u{2019}s place. Nothing was recorded.".into(),
            Self::EvidenceNeeded => "Name at least one record that shows it was done.".into(),
            Self::UndoOver => "The time to undo this by one person is over; propose to take it back instead.".into(),
            Self::NotRequester => "Only the person who asked can take it back.".into(),
            Self::NotApproved => "Nobody has approved this.".into(),
            Self::QuorumMissing { words } => format!("Not enough approvals count any more ({words})."),
            Self::Tampered => "What is stored does not match its hash, so it cannot be decided or carried out.".into(),
            Self::NotSigned { name } => format!("The signed receipt of {name}'s decision does not verify, so it does not count."),
            Self::OtherForm => {
                "Another release of Assay staged this, and its hash does not name all that it must, so it cannot be approved or carried out.".into()
            }
            Self::PolicyChanged => {
                "The client's policy changed after this was asked, so it cannot be approved or carried out as it stands. Within five minutes Assay asks for it again under the policy that holds now; then open it again. Rejecting is possible at once.".into()
            }
            Self::PolicyUnsound(unsound) => unsound.sentence(),
            Self::AuthorityGone { name } => format!("{name} approved this and is no longer an approver of this client."),
            Self::EvidenceChanged { titles } => format!("This evidence changed after it was proposed: {}.", titles.join(", ")),
            Self::EvidenceStale { titles } => format!("This evidence is too old to count by now: {}.", titles.join(", ")),
            Self::NotDue => "Its time is not over yet.".into(),
            Self::Begun => "It is being carried out at this moment.".into(),
        }
    }

    /// Whether the person who answers can mend it in the form.
    pub fn is_about_the_form(&self) -> bool {
        matches!(
            self,
            Self::CommentNeeded { .. }
                | Self::CommentTooLong
                | Self::CommentMarked
                | Self::GlassForAnother
                | Self::BreakGlassReason
                | Self::DeedForAnother
                | Self::EvidenceNeeded
        )
    }

    /// Whether this person may not, whatever they write.
    pub fn is_about_the_person(&self) -> bool {
        matches!(
            self,
            Self::NotYours
                | Self::NotApprover
                | Self::EvidenceYours { .. }
                | Self::DelegateOfExcluded
                | Self::NoDelegation { .. }
                | Self::NotOfGroup { .. }
                | Self::MayNotBreakGlass
                | Self::NotRequester
                | Self::SignInTooOld { .. }
                | Self::SignInTooWeak
        )
    }
}
