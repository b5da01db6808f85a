//! Big-number arithmetic, on plain limbs and in lanes: safe, without allocation, constant-time unless a name
//! ends in `_vartime`.
