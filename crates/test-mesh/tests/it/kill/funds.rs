//! Money can be spent once, however many ask for it at the same time.

use brokerage_proto::common::v1::Side;
use brokerage_types::Reason;

use super::load::{Answered, Command, Verdict, one_share};
use super::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_10_and_of_64_buys_of_10_000_at_once_75_000_pays_for_exactly_7_through_two_replicas() {
    let rig = Rig::start(2).await;
    for count in [10, 64] {
        let investor = format!("investor-{count}");
        rig.customer_with(&investor, "75000").await;
        let buys = (0..count).map(|_| Command::Create(one_share(&investor, Side::Buy, "100", "100")));
        // All at once: not through `load`, which sends some at a time.
        let answered: Vec<Answered> =
            futures::future::join_all(buys.map(|buy| rig.until_answered(buy))).await;
        let refused = Verdict::Refused(Reason::InsufficientUsable);
        let accepted = answered.iter().filter(|one| one.verdict == Verdict::Done).count();
        let rejected = answered.iter().filter(|one| one.verdict == refused).count();
        assert_eq!((accepted, rejected), (7, count - 7), "{answered:?}");
        rig.settles().await;
        rig.stands_by(&answered).await;
    }
    rig.settles().await;
    rig.stop().await;
}
