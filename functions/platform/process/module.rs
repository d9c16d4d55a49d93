//! Which cryptographic module this process runs on, in words that may be said of it and no more.
//!
//! A build with the feature `fips` links the AWS-LC FIPS module; whether it runs in FIPS mode is asked of the module
//! itself. A build without it has the same algorithms from AWS-LC, and claims nothing.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// The FIPS module, and it says that it is in FIPS mode: its self-tests passed.
    Fips,
    /// AWS-LC without the FIPS module.
    Plain,
    /// Built for the FIPS module, which says that it is not in FIPS mode: such a process must not work.
    NotInMode,
}

impl Module {
    pub fn of_this_process() -> Self {
        match (aws_lc_rs::try_fips_mode(), cfg!(feature = "fips")) {
            (Ok(()), _) => Self::Fips,
            (Err(_), false) => Self::Plain,
            (Err(_), true) => Self::NotInMode,
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Fips => "AWS-LC FIPS module, in FIPS mode",
            Self::Plain => "AWS-LC, not its FIPS module",
            Self::NotInMode => "built for the AWS-LC FIPS module, which is not in FIPS mode",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_says_of_itself_what_it_is() {
        let expected = if cfg!(feature = "fips") { Module::Fips } else { Module::Plain };
        assert_eq!(Module::of_this_process(), expected);
    }
}
