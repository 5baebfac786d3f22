//! Types that are one value: enumerations, flags, aliases, unions.

/// Implements `Wire` and `Default` for what converts from and to an integer.
macro_rules! number {
    ($Name:ident ($name:literal $raw:ident)) => {
        impl $crate::wire::Wire for $Name {
            const SHAPE: $crate::describe::Shape =
                $crate::describe::Shape::scalar(concat!("vl_api_", $name, "_t"));
            const MIN_SIZE: usize = size_of::<$raw>();

            fn zero() -> Self {
                Self::from(0)
            }

            fn put(&self, out: &mut $crate::wire::Writer) -> Result<(), $crate::wire::CodecError> {
                $raw::from(*self).put(out)
            }

            fn take(
                input: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::CodecError> {
                <$raw as $crate::wire::Wire>::take(input).map(Self::from)
            }

            fn literal(&self) -> String {
                $raw::from(*self).literal()
            }
        }
    };
}

/// Implements `Wire` and `Default` for a newtype over a wire type.
macro_rules! wrapper {
    ($Name:ident ($name:literal $base:ty)) => {
        impl $crate::wire::Wire for $Name {
            const SHAPE: $crate::describe::Shape =
                $crate::describe::Shape::scalar(concat!("vl_api_", $name, "_t"));
            const MIN_SIZE: usize = <$base as $crate::wire::Wire>::MIN_SIZE;

            fn zero() -> Self {
                Self(<$base as $crate::wire::Wire>::zero())
            }

            fn put(&self, out: &mut $crate::wire::Writer) -> Result<(), $crate::wire::CodecError> {
                $crate::wire::Wire::put(&self.0, out)
            }

            fn take(
                input: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::CodecError> {
                <$base as $crate::wire::Wire>::take(input).map(Self)
            }

            fn literal(&self) -> String {
                $crate::wire::Wire::literal(&self.0)
            }
        }
        impl Default for $Name {
            fn default() -> Self {
                <Self as $crate::wire::Wire>::zero()
            }
        }
    };
}

/// Describes an enumeration.
macro_rules! enumeration {
    ($Name:ident ($name:literal $raw:ident $is_enumflag:literal) { $( $member:literal $value:literal ),* }) => {
        impl $crate::describe::Describe for $Name {
            const ITEM: $crate::describe::Item =
                $crate::describe::Item::Enum($crate::describe::EnumInfo {
                    name: $name,
                    storage: stringify!($raw),
                    is_enumflag: $is_enumflag,
                    members: &[$( ($member, $value) ),*],
                });
        }
    };
}

/// Declares a set of flags.
macro_rules! bitset {
    ({ $($meta:tt)* } $Name:ident ($raw:ident) {
        $( $MEMBER:ident = $value:literal $member:literal ),*
    }) => {
        $($meta)*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $Name(pub $raw);
        impl $Name {
            /// No flag.
            pub const EMPTY: Self = Self(0);
            $( #[doc = concat!("`", $member, "`")] pub const $MEMBER: Self = Self($value); )*

            /// Says whether all flags of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }
        impl std::ops::BitOr for $Name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
        impl From<$raw> for $Name {
            fn from(raw: $raw) -> Self {
                Self(raw)
            }
        }
        impl From<$Name> for $raw {
            fn from(flags: $Name) -> Self {
                flags.0
            }
        }
    };
}

/// Builds a union from any of its members and proves that each fits.
macro_rules! union_members {
    ($Name:ident ($size:literal) $( $Type:ty ),*) => {
        const _: () = {
            $( assert!(<$Type as $crate::wire::Wire>::MIN_SIZE <= $size); )*
        };
        impl $Name {
            /// Stores a member; what it leaves of the union is zero.
            ///
            /// # Errors
            /// When the value is bigger than the union.
            pub fn of(member: &impl $crate::wire::Wire) -> Result<Self, $crate::wire::CodecError> {
                let mut out = $crate::wire::Writer::new();
                member.put(&mut out)?;
                let bytes = out.finish();
                let mut union = [0; $size];
                let (head, _) = union.split_at_mut_checked(bytes.len()).ok_or(
                    $crate::wire::Fault::TooLong { count: bytes.len(), max: $size },
                )?;
                head.copy_from_slice(&bytes);
                Ok(Self(union))
            }
        }
    };
}

pub(crate) use {bitset, enumeration, number, union_members, wrapper};
