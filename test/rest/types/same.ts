// Assertions about types; tsc is what runs them.
// The pitfall: `any` goes with everything, so results are compared for identity, not for fit.

export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

// Does not compile unless the two types are the same: holds<Same<A, B>>()
export const holds = <_Fact extends true>(): void => {}

// Does not compile unless the data of the answer is Wanted, or null beside an error.
export const answers = <Wanted>() =>
  <Data>(query: PromiseLike<{ data: Data }>, ..._: Same<Data, Wanted | null> extends true ? [] : [wanted: Wanted, found: Data]) => query
