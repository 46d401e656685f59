/** Fields that every answer of a request gets, whoever gives it. */
import type { HeaderList } from '../../message/index.ts';
import { type CorsAnswer, writeCors } from '../policy/index.ts';

export class AnswerFields {
  /** What pages may do with the answer; null: the rule says nothing of that. */
  private readonly cors: CorsAnswer | null;
  /** Name, value, name, value, … */
  private readonly fields: string[] = [];

  constructor(cors: CorsAnswer | null) {
    this.cors = cors;
  }

  add(name: string, value: string): void {
    this.fields.push(name, value);
  }

  writeTo(headers: HeaderList): void {
    const { cors, fields } = this;
    if (cors !== null) writeCors(cors, headers);
    for (let i = 0; i < fields.length; i += 2) headers.append(fields[i] as string, fields[i + 1] as string);
  }
}
