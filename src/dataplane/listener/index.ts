/** listener: accept, detect, drain. */
export { Listener, type ListenerDependencies } from './listener.ts';
