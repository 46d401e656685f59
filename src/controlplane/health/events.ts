/** What the health room tells of endpoints whose state changed; the supervisor logs it. */

export type HealthEvent =
  | {
      readonly type: 'healthy' | 'unhealthy';
      readonly service: string;
      /** `address:port`. */
      readonly endpoint: string;
      /** What the check that decided it saw, e.g. `status 503`, `timeout after 1000 ms`. */
      readonly reason: string;
    }
  | {
      /** An outlier was taken out of rotation, for `forMs`, or is back in it. */
      readonly type: 'ejected' | 'returned';
      readonly service: string;
      readonly endpoint: string;
      readonly forMs: number;
      /** Ejections since the endpoint was configured. */
      readonly ejections: number;
    };
