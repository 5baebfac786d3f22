use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn map_behaves_like_a_btreemap_and_snapshots_stay(ops in proptest::collection::vec((0u32..500, any::<u16>(), any::<bool>()), 0..800)) {
        let (mut map, mut model) = (PMap::default(), BTreeMap::new());
        let (mut snapshot, mut snapshot_model) = (map.clone(), model.clone());
        for (i, (key, value, is_add)) in ops.into_iter().enumerate() {
            if is_add {
                prop_assert_eq!(map.insert(key, value), model.insert(key, value));
            } else {
                prop_assert_eq!(map.remove(&key), model.remove(&key));
            }
            if i == 300 {
                (snapshot, snapshot_model) = (map.clone(), model.clone());
            }
        }
        for (map, model) in [(&map, &model), (&snapshot, &snapshot_model)] {
            prop_assert_eq!(map.len(), model.len());
            let mut seen = BTreeMap::new();
            map.for_each(|k, v| { seen.insert(*k, *v); });
            prop_assert_eq!(&seen, model);
            for key in 0..500 {
                prop_assert_eq!(map.get(&key), model.get(&key));
            }
        }
    }

    #[test]
    fn vec_behaves_like_a_btreemap_and_snapshots_stay(ops in proptest::collection::vec((0u32..100_000, any::<u16>(), any::<bool>()), 0..300)) {
        let (mut vec, mut model) = (PVec::default(), BTreeMap::new());
        let (mut snapshot, mut snapshot_model) = (vec.clone(), model.clone());
        for (i, (index, value, is_add)) in ops.iter().copied().enumerate() {
            if is_add {
                vec.set(index, value);
                model.insert(index, value);
            } else {
                prop_assert_eq!(vec.remove(index), model.remove(&index));
            }
            if i == 100 {
                (snapshot, snapshot_model) = (vec.clone(), model.clone());
            }
        }
        for (index, ..) in ops {
            prop_assert_eq!(vec.get(index), model.get(&index));
            prop_assert_eq!(snapshot.get(index), snapshot_model.get(&index));
        }
        prop_assert_eq!(vec.iter().count(), model.len());
    }
}
