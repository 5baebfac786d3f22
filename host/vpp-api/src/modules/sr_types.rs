//! Numbers of segment routing.

use crate::dsl::api;

api! {
    module sr_types("1.0.0" 0x7955bd50) imports [];

    /// What is done to a segment list of a policy.
    enum SrPolicyOp("sr_policy_op" u8) {
        None = 0 "SR_POLICY_OP_API_NONE",
        Add = 1 "SR_POLICY_OP_API_ADD",
        Del = 2 "SR_POLICY_OP_API_DEL",
        Mod = 3 "SR_POLICY_OP_API_MOD",
    }

    /// What a local SID does; numbers from 14 on are of plug-ins, in their order of loading.
    enum SrBehavior("sr_behavior" u8) {
        End = 1 "SR_BEHAVIOR_API_END",
        X = 2 "SR_BEHAVIOR_API_X",
        T = 3 "SR_BEHAVIOR_API_T",
        DFirst = 4 "SR_BEHAVIOR_API_D_FIRST",
        Dx2 = 5 "SR_BEHAVIOR_API_DX2",
        Dx6 = 6 "SR_BEHAVIOR_API_DX6",
        Dx4 = 7 "SR_BEHAVIOR_API_DX4",
        Dt6 = 8 "SR_BEHAVIOR_API_DT6",
        Dt4 = 9 "SR_BEHAVIOR_API_DT4",
        Last = 10 "SR_BEHAVIOR_API_LAST",
        UnPerf = 11 "SR_BEHAVIOR_API_END_UN_PERF",
        Un = 12 "SR_BEHAVIOR_API_END_UN",
        Ua = 13 "SR_BEHAVIOR_API_UA",
    }

    /// What a steering rule looks at.
    enum SrSteer("sr_steer" u8) {
        L2 = 2 "SR_STEER_API_L2",
        Ipv4 = 4 "SR_STEER_API_IPV4",
        Ipv6 = 6 "SR_STEER_API_IPV6",
    }
}
