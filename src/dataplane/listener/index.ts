/** listener: accept, detect, drain. */

export { Listener, type ListenerDependencies } from './listener.ts';
export { ReadTurns } from './read-turns.ts';
