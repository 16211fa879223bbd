//! Places that are used again: a place that has been freed gets a new turn, so that a number that
//! is still on its way finds nobody.

/// Values under numbers.
pub struct Slots<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Slots<T> {
        Slots { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Enters what `make` makes of its number. Answers the number.
    pub fn enter(&mut self, make: impl FnOnce(u64) -> T) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() as u32 - 1
        });
        let (turn, value) = &mut self.places[place as usize];
        let number = u64::from(*turn) << 32 | u64::from(place);
        *value = Some(make(number));
        number
    }

    /// Takes the value of this number away for good; `None` when it has gone before, or is taken.
    pub fn leave(&mut self, number: u64) -> Option<T> {
        let (turn, value) = self.place(number)?;
        *turn = turn.wrapping_add(1);
        let value = value.take();
        self.free.push(number as u32);
        value
    }

    /// The value of this number.
    pub fn get(&self, number: u64) -> Option<&T> {
        let (turn, value) = self.places.get(number as u32 as usize)?;
        value.as_ref().filter(|_| *turn == (number >> 32) as u32)
    }

    /// Takes the value of this number for a while: its number stays its own.
    pub fn take(&mut self, number: u64) -> Option<T> {
        self.place(number)?.1.take()
    }

    /// Puts a value that was taken back.
    pub fn put_back(&mut self, number: u64, value: T) {
        if let Some((_, place)) = self.place(number) {
            *place = Some(value);
        }
    }

    /// Whether the value of this number has been taken for a while.
    pub fn is_taken(&self, number: u64) -> bool {
        let place = self.places.get(number as u32 as usize);
        place.is_some_and(|it| it.0 == (number >> 32) as u32 && it.1.is_none())
    }

    fn place(&mut self, number: u64) -> Option<&mut (u32, Option<T>)> {
        let place = self.places.get_mut(number as u32 as usize)?;
        Some(place).filter(|it| it.0 == (number >> 32) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_finds_its_own_value_or_none() {
        let mut slots = Slots::default();
        let (a, b) = (slots.enter(|_| 'a'), slots.enter(|_| 'b'));
        assert_eq!((slots.get(a), slots.get(b)), (Some(&'a'), Some(&'b')));
        assert_eq!(slots.take(a), Some('a'));
        assert_eq!((slots.get(a).copied(), slots.take(a)), (None, None));
        slots.put_back(a, 'A');
        assert_eq!(slots.leave(a), Some('A'));
        let c = slots.enter(|_| 'c');
        assert_eq!(c as u32, a as u32, "the place is used again");
        assert_eq!((slots.get(a).copied(), slots.leave(a), slots.take(a)), (None, None, None));
        assert_eq!((slots.get(b), slots.get(c), slots.get(99)), (Some(&'b'), Some(&'c'), None));
    }

    #[test]
    fn a_place_is_freed_while_its_value_is_taken() {
        let mut slots = Slots::default();
        let a = slots.enter(|number| number);
        assert_eq!(slots.take(a), Some(a));
        assert_eq!(slots.leave(a), None);
        slots.put_back(a, 7);
        assert_eq!(slots.get(a), None, "it came too late");
    }
}
