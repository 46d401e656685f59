/** balancer: candidates → one endpoint. */
export { compilePicker, type Surroundings } from './compile.ts';
export { type EndpointView, type Picker, PickState, ZONE } from './picker.ts';
export type { PolicyPicker } from './policy-picker.ts';
