//! The struct of a message or type, and the walk over its fields on the wire.

/// Declares the struct of a message or type with its `Record`.
///
/// Walks the body field by field, collecting what is in the struct and what is on the wire: they
/// differ in the length fields.
macro_rules! record {
    ($meta:tt $Name:ident { $($body:tt)* }) => {
        $crate::dsl::record! { @ $meta $Name [] [] $($body)* }
    };
    (@ $meta:tt $Name:ident [$($kept:tt)*] [$($wire:tt)*]
        $(#[$doc:meta])* $field:ident: $Count:ty = len($list:ident) $(, $($rest:tt)*)?
    ) => {
        $crate::dsl::record! { @ $meta $Name
            [$($kept)*] [$($wire)* (length $field $Count, $list)] $($($rest)*)?
        }
    };
    (@ $meta:tt $Name:ident [$($kept:tt)*] [$($wire:tt)*]
        $(#[$doc:meta])* $field:ident: [$Type:ty; $count:ident] $(, $($rest:tt)*)?
    ) => {
        $crate::dsl::record! { @ $meta $Name
            [$($kept)* ($(#[$doc])* $field Vec<$Type>, Vec::new())]
            [$($wire)* (list $field $Type, $count)] $($($rest)*)?
        }
    };
    (@ $meta:tt $Name:ident [$($kept:tt)*] [$($wire:tt)*]
        $(#[$doc:meta])* $field:ident: $Type:ty = $default:expr $(, $($rest:tt)*)?
    ) => {
        $crate::dsl::record! { @ $meta $Name
            [$($kept)* ($(#[$doc])* $field $Type, $default)]
            [$($wire)* (value $field $Type, $default)] $($($rest)*)?
        }
    };
    (@ $meta:tt $Name:ident [$($kept:tt)*] [$($wire:tt)*]
        $(#[$doc:meta])* $field:ident: $Type:ty $(, $($rest:tt)*)?
    ) => {
        $crate::dsl::record! { @ $meta $Name
            [$($kept)* ($(#[$doc])* $field $Type, <$Type as $crate::wire::Wire>::zero())]
            [$($wire)* (value $field $Type)] $($($rest)*)?
        }
    };
    (@ { $($meta:tt)* } $Name:ident
        [$( ($(#[$doc:meta])* $field:ident $Type:ty, $default:expr) )*] [$( $wire:tt )*]
    ) => {
        $($meta)*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Name {
            $( $(#[$doc])* #[doc = concat!("`", stringify!($Type), "`")] pub $field: $Type, )*
        }
        impl Default for $Name {
            fn default() -> Self {
                Self { $( $field: $default ),* }
            }
        }
        impl $crate::message::Record for $Name {
            const FIELDS: &'static [$crate::describe::Field] =
                &[$( $crate::dsl::field!($wire) ),*];
            const FIELDS_MIN_SIZE: usize = 0 $( + $crate::dsl::min_size!($wire) )*;

            fn put_fields(
                &self,
                out: &mut $crate::wire::Writer,
            ) -> Result<(), $crate::wire::CodecError> {
                let _ = &out;
                $( $crate::dsl::put!(self out $wire); )*
                Ok(())
            }

            fn take_fields(
                input: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::CodecError> {
                let _ = &input;
                $( $crate::dsl::take!(input $wire); )*
                Ok(Self { $( $field ),* })
            }
        }
    };
}

/// Describes a wire field.
macro_rules! field {
    ((length $field:ident $Count:ty, $list:ident)) => {
        $crate::dsl::field!(@ $field <$Count as $crate::wire::Wire>::SHAPE, None)
    };
    ((list $field:ident $Type:ty, $count:ident)) => {
        $crate::dsl::field!(
            @ $field <$Type as $crate::wire::Wire>::SHAPE.counted_by(stringify!($count)), None
        )
    };
    ((value $field:ident $Type:ty)) => {
        $crate::dsl::field!(@ $field <$Type as $crate::wire::Wire>::SHAPE, None)
    };
    ((value $field:ident $Type:ty, $default:expr)) => {
        $crate::dsl::field!(@ $field <$Type as $crate::wire::Wire>::SHAPE,
            Some(|| <$Type as $crate::wire::Wire>::literal(&$default)))
    };
    (@ $field:ident $shape:expr, $default:expr) => {
        $crate::describe::Field { name: stringify!($field), shape: $shape, default: $default }
    };
}

/// Counts the fewest bytes of a wire field.
macro_rules! min_size {
    ((list $($rest:tt)*)) => {
        0
    };
    ((length $field:ident $Type:ty, $list:ident)) => {
        <$Type as $crate::wire::Wire>::MIN_SIZE
    };
    ((value $field:ident $Type:ty $(, $default:expr)?)) => {
        <$Type as $crate::wire::Wire>::MIN_SIZE
    };
}

/// Encodes a wire field.
macro_rules! put {
    ($self:ident $out:ident (length $field:ident $Count:ty, $list:ident)) => {
        $crate::wire::put_count::<$Count>($self.$list.len(), <$Count>::MAX.into(), $out)
            .map_err(|error| error.within(stringify!($list)))?;
    };
    ($self:ident $out:ident (list $field:ident $Type:ty, $count:ident)) => {
        $crate::wire::put_list(&$self.$field, $out)
            .map_err(|error| error.within(stringify!($field)))?;
    };
    ($self:ident $out:ident (value $field:ident $Type:ty $(, $default:expr)?)) => {
        $crate::wire::Wire::put(&$self.$field, $out)
            .map_err(|error| error.within(stringify!($field)))?;
    };
}

/// Decodes a wire field into a local of its name.
macro_rules! take {
    ($input:ident (length $field:ident $Count:ty, $list:ident)) => {
        let $field: u64 = <$Count as $crate::wire::Wire>::take($input)
            .map_err(|error| error.within(stringify!($field)))?
            .into();
    };
    ($input:ident (list $field:ident $Type:ty, $count:ident)) => {
        let $field = $crate::wire::take_list::<$Type>($count, $input)
            .map_err(|error| error.within(stringify!($field)))?;
    };
    ($input:ident (value $field:ident $Type:ty $(, $default:expr)?)) => {
        let $field = <$Type as $crate::wire::Wire>::take($input)
            .map_err(|error| error.within(stringify!($field)))?;
    };
}

pub(crate) use {field, min_size, put, record, take};
