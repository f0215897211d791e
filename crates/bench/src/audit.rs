//! After the load: is every lira where it belongs?

use brokerctl::audit::{self, Urls};
use brokerctl::dev::Mesh;

/// Proves the books of the mesh as the load left them; says what was proved, or what is broken.
pub async fn verify(mesh: &Mesh) -> Result<String, String> {
    let databases = mesh.database_urls();
    let urls = Urls {
        order: databases.order.clone(),
        asset: databases.asset.clone(),
        orchestrator: databases.orchestrator.clone(),
    };
    match audit::verify(&urls).await {
        Ok(report) if report.is_clean() => Ok(report.to_table()),
        Ok(report) => Err(report.to_table()),
        Err(error) => Err(format!("it could not be run: {error:#}")),
    }
}
