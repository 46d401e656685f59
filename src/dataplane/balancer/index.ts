/** balancer: candidates → one endpoint. */
export { compilePicker } from './compile.ts';
export { type EndpointView, type Picker, PickState } from './picker.ts';
