//! What the commands read that call a service: they run for a person, and the service does not read it.

use std::path::PathBuf;

use super::vars::{Setting, Vars, any_text};

const URL: Setting<String> = Setting { name: "SCHEDULER_URL", default: "", read: any_text };
const TIME_ZONE: Setting<String> = Setting { name: "TZ", default: "", read: any_text };
const CONFIG_HOME: Setting<String> = Setting { name: "XDG_CONFIG_HOME", default: "", read: any_text };
const HOME: Setting<String> = Setting { name: "HOME", default: "", read: any_text };

/// What the commands know of the person who runs them.
#[derive(Clone, Debug)]
pub struct CommandsConfig {
    /// `SCHEDULER_URL`: the service that commands on conversations call, and on which `listen` schedules.
    pub url: Option<String>,
    /// `TZ`: the time zone in which times are shown.
    pub time_zone: Option<String>,
    /// The file with the service and the client of a login, below `XDG_CONFIG_HOME` or `HOME`.
    pub profile: Option<PathBuf>,
}

impl CommandsConfig {
    /// None of these texts is checked: a service must start whatever they are.
    pub(super) fn read(vars: &Vars<'_>) -> Self {
        let of_home = || vars.text(&HOME).map(|home| PathBuf::from(home).join(".config"));
        let config_home = vars.text(&CONFIG_HOME).map(PathBuf::from).or_else(of_home);
        Self {
            url: vars.text(&URL),
            time_zone: vars.text(&TIME_ZONE),
            profile: config_home.map(|dir| dir.join("mcp-scheduler/profile.json")),
        }
    }
}
