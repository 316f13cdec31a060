/** The most characters that an id may have. */
const MAX_CHARACTERS = 256;

/** What is wrong with the id of a user or an account, or null; in the words of the API. */
export function idProblem(id: string): string | null {
  if (id === '') return 'must not be empty';
  if ([...id].length > MAX_CHARACTERS) return `must be at most ${MAX_CHARACTERS} characters`;
  if (/\p{Cc}/u.test(id)) return 'must not contain control characters';
  if (/\p{Cs}/u.test(id)) return 'must be well-formed Unicode';
  return null;
}

/** The order of the lists: that of the ids' bytes in UTF-8, which is that of their characters' numbers. */
export function compareIds(one: string, other: string): number {
  const [ones, others] = [[...one], [...other]];
  for (let at = 0; at < ones.length && at < others.length; at += 1) {
    const apart = ones[at]!.codePointAt(0)! - others[at]!.codePointAt(0)!;
    if (apart !== 0) return apart;
  }
  return ones.length - others.length;
}
