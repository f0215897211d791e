//! The auditor's proof at the end of a test.

use brokerctl::audit::{Urls, verify};

use crate::brokerage::Brokerage;

impl Brokerage {
    /// Fails unless the books of all three databases prove right.
    pub async fn audit(&self) {
        let databases = &self.databases;
        let urls = Urls {
            order: databases.order.url.clone(),
            asset: databases.asset.url.clone(),
            orchestrator: databases.orchestrator.url.clone(),
        };
        let report = verify(&urls).await.unwrap();
        assert!(report.is_clean(), "the audit found something:\n{}", report.to_table());
    }
}
