/** What the splitters of both formats speak of: members of the lists that grow with a mesh. */

export type MemberList = 'routes' | 'services';

/** Offsets into the text; `end` is the first one after. */
export interface Slice {
  readonly start: number;
  readonly end: number;
}

export function isMemberList(name: string): name is MemberList {
  return name === 'routes' || name === 'services';
}
