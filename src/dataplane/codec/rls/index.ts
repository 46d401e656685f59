/** rls: the messages of Envoy's rate limit protocol, envoy.service.ratelimit.v3. */
export {
  type DescriptorEntry,
  type DescriptorStatus,
  decodeRateLimitResponse,
  encodeRateLimitRequest,
  type RateLimitResponse,
} from './message.ts';
