//! What is wrong with a request, where, and as an OperationOutcome (R4 §2.36).

use std::borrow::Cow;

use serde_json::{Value, json};

/// `issue.severity` (R4 value set issue-severity).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Nothing could be looked at any further.
    Fatal,
    /// Not accepted.
    Error,
    /// Accepted all the same.
    Warning,
    /// Nothing is wrong.
    Information,
}

impl Severity {
    /// The code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

/// `issue.code` (R4 value set issue-type), as far as it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IssueCode {
    /// Content is invalid against the specification.
    Invalid,
    /// Not JSON, or not JSON of FHIR's form.
    Structure,
    /// A required element is missing.
    Required,
    /// An element's value is not of its type's form.
    Value,
    /// A rule between elements does not hold.
    Invariant,
    /// The code is not in the value set that the element is bound to.
    CodeInvalid,
    /// The interaction, resource or bundle type is not supported.
    NotSupported,
    /// The same resource twice.
    Duplicate,
    /// What a reference points to is not there.
    NotFound,
    /// Larger than is taken.
    TooLong,
    /// More work than a request may cause: nesting, numbers of entries or elements.
    TooCostly,
    /// A rule of this server does not hold.
    BusinessRule,
    /// Not now; the same request may succeed later.
    Transient,
    /// The sender is not known.
    Login,
    /// The sender may not do this.
    Forbidden,
    /// Something went wrong here.
    Exception,
    /// Says something, nothing is wrong.
    Informational,
}

impl IssueCode {
    /// The code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Structure => "structure",
            Self::Required => "required",
            Self::Value => "value",
            Self::Invariant => "invariant",
            Self::CodeInvalid => "code-invalid",
            Self::NotSupported => "not-supported",
            Self::Duplicate => "duplicate",
            Self::NotFound => "not-found",
            Self::TooLong => "too-long",
            Self::TooCostly => "too-costly",
            Self::BusinessRule => "business-rule",
            Self::Transient => "transient",
            Self::Login => "login",
            Self::Forbidden => "forbidden",
            Self::Exception => "exception",
            Self::Informational => "informational",
        }
    }
}

/// One thing that was found. Texts say what is wrong and never what was there: they reach logs and other people's logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// How bad.
    pub severity: Severity,
    /// Of what kind.
    pub code: IssueCode,
    /// For people.
    pub diagnostics: Cow<'static, str>,
    /// Where: FHIRPath such as `Bundle.entry[3].resource.subject`.
    pub expression: Option<String>,
}

impl Issue {
    /// An error at a place.
    pub fn error(
        code: IssueCode,
        diagnostics: impl Into<Cow<'static, str>>,
        expression: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            code,
            diagnostics: diagnostics.into(),
            expression: Some(expression.into()),
        }
    }

    /// An error of the whole request.
    pub fn general(code: IssueCode, diagnostics: impl Into<Cow<'static, str>>) -> Self {
        Self { severity: Severity::Error, code, diagnostics: diagnostics.into(), expression: None }
    }

    /// Nothing is wrong.
    pub fn information(diagnostics: impl Into<Cow<'static, str>>) -> Self {
        Self { severity: Severity::Information, ..Self::general(IssueCode::Informational, diagnostics) }
    }

    /// HTTP status of an answer whose first issue this is (R4 §3.1.0.4.1): 400 what cannot be read as FHIR, 413 too
    /// large, 422 what can be read and breaks a rule.
    pub const fn http_status(&self) -> u16 {
        match self.code {
            IssueCode::Invalid | IssueCode::Structure | IssueCode::Value | IssueCode::TooCostly => 400,
            IssueCode::Login => 401,
            IssueCode::Forbidden => 403,
            IssueCode::TooLong => 413,
            IssueCode::Transient => 503,
            IssueCode::Exception => 500,
            IssueCode::Informational => 200,
            IssueCode::Required
            | IssueCode::Invariant
            | IssueCode::CodeInvalid
            | IssueCode::NotSupported
            | IssueCode::Duplicate
            | IssueCode::NotFound
            | IssueCode::BusinessRule => 422,
        }
    }
}

/// An OperationOutcome as JSON value.
pub fn operation_outcome(issues: &[Issue]) -> Value {
    let issue = |issue: &Issue| {
        let mut value = json!({
            "severity": issue.severity.as_str(),
            "code": issue.code.as_str(),
            "diagnostics": issue.diagnostics,
        });
        if let (Some(expression), Some(object)) = (&issue.expression, value.as_object_mut()) {
            object.insert("expression".to_owned(), json!([expression]));
        }
        value
    };
    json!({
        "resourceType": "OperationOutcome",
        "issue": issues.iter().map(issue).collect::<Vec<_>>(),
    })
}
