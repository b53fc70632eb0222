//! Where faults are set and asked about.

use super::{Fault, FaultPlan, FaultReport};
use crate::simulator::{Simulator, SimulatorError};

/// What goes wrong, to be set and asked about: `simulator.faults().set(Fault::call("*", CallFault::LockTimeout))`.
#[derive(Clone, Copy, Debug)]
pub struct Faults<'a> {
    simulator: &'a Simulator,
}

impl Simulator {
    /// What goes wrong: to be set, asked about and cleared.
    pub fn faults(&self) -> Faults<'_> {
        Faults { simulator: self }
    }
}

impl Faults<'_> {
    /// Sets a fault for coming calls or deliveries; answers its number. Those set earlier are tried first.
    ///
    /// # Errors
    /// [`SimulatorError::Fault`] if it could never happen, or if a thousand are set already.
    pub fn set(&self, fault: Fault) -> Result<u64, SimulatorError> {
        fault.check().map_err(SimulatorError::Fault)?;
        let now = self.simulator.now();
        self.simulator.fault_book().add(fault, now).map_err(SimulatorError::Fault)
    }

    /// Leaves what goes wrong to chance from now on, in place of an earlier plan. Scripted faults go before it.
    ///
    /// # Errors
    /// [`SimulatorError::Fault`] if its chances are more than whole.
    pub fn follow(&self, plan: FaultPlan) -> Result<(), SimulatorError> {
        plan.check().map_err(SimulatorError::Fault)?;
        self.simulator.fault_book().follow(Some(plan));
        Ok(())
    }

    /// Follows no plan any more.
    pub fn stop_plan(&self) {
        self.simulator.fault_book().follow(None);
    }

    /// What is set, and what has happened.
    pub fn report(&self) -> FaultReport {
        let now = self.simulator.now();
        let report = self.simulator.fault_book().report(now);
        FaultReport {
            keys_revoked: self.simulator.keys().revoked_count(),
            endpoints_disabled: self.simulator.disabled_endpoints(),
            ..report
        }
    }

    /// Clears one fault; false if it is not set, or not any more.
    pub fn clear(&self, id: u64) -> bool {
        self.simulator.fault_book().clear(id)
    }

    /// Clears all scripted faults and the plan.
    pub fn clear_all(&self) {
        self.simulator.fault_book().clear_all();
    }
}
