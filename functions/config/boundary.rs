//! Which data may lie in this installation: the template's `dataBoundary`, which is a tag of each of its resources too.
//!
//! No cloud is asked. CUI is never taken as evidence, whatever stands here; what differs is what becomes of the bytes that a
//! tool sent before anybody could look into them.

use super::Reader;
use crate::platform::cloud::CloudProfile;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataBoundary {
    /// A cloud in which no CUI may lie (DFARS 252.204-7012(b)(2)(ii)(D)): a copy of what carries a marking is destroyed as soon
    /// as it is found.
    CommercialNoCui,
    /// Azure Government: such a copy lies there, sealed, until a person has it destroyed.
    GovCui,
}

const COMMERCIAL: &str = "commercial-noCUI";
const GOVERNMENT: &str = "gov-CUI";

impl DataBoundary {
    /// As the setting has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CommercialNoCui => COMMERCIAL,
            Self::GovCui => GOVERNMENT,
        }
    }
}

/// `None`: a data folder of which nobody said it; what lies there is its owner's to say. On Azure silence is the narrow one.
pub(super) fn read(reader: &mut Reader<'_>, on_azure: bool, cloud: Option<&CloudProfile>) -> Option<DataBoundary> {
    let in_government = on_azure && cloud.is_some_and(|cloud| cloud.name == "government");
    match reader.one_of("ASSAY_DATA_BOUNDARY", &["", COMMERCIAL, GOVERNMENT])? {
        GOVERNMENT if in_government => Some(DataBoundary::GovCui),
        GOVERNMENT => {
            reader.fail(
                "ASSAY_DATA_BOUNDARY",
                "gov-CUI is for a store in Azure Government (ASSAY_CLOUD=government); here it is commercial-noCUI",
            );
            None
        }
        "" if !on_azure => None,
        _ => Some(DataBoundary::CommercialNoCui),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    fn read_with(setting: &str, on_azure: bool, cloud: Option<&CloudProfile>) -> (Option<DataBoundary>, usize) {
        let raw = RawConfig::from([("ASSAY_DATA_BOUNDARY".into(), setting.into())]);
        let mut reader = Reader { raw: &raw, errors: Vec::new() };
        (read(&mut reader, on_azure, cloud), reader.errors.len())
    }

    #[test]
    fn cui_may_lie_in_azure_government_alone_and_silence_on_azure_is_the_narrow_one() {
        let (public, government) = (CloudProfile::public(), CloudProfile::government());
        let narrow = (Some(DataBoundary::CommercialNoCui), 0);
        assert_eq!(read_with("gov-CUI", true, Some(&government)), (Some(DataBoundary::GovCui), 0));
        for (setting, on_azure, cloud) in [("gov-CUI", true, &public), ("gov-CUI", false, &government), ("noCUI", true, &public)] {
            assert_eq!(read_with(setting, on_azure, Some(cloud)), (None, 1), "{setting}");
        }
        for (setting, cloud) in [("", &public), ("", &government), ("commercial-noCUI", &public), ("commercial-noCUI", &government)] {
            assert_eq!(read_with(setting, true, Some(cloud)), narrow, "{setting} in {}", cloud.name);
        }
        assert_eq!(read_with("commercial-noCUI", false, None), narrow);
        assert_eq!(read_with("", false, None), (None, 0));
    }
}
