/**
 * What a connection and the exchange say to each other about bytes that nobody reads: plain TCP, and TLS that is passed
 * through. Client and endpoint look alike. Chunks are never empty, and valid only during the call, as those of stream.ts;
 * no callback is made from inside a call of `ByteStream`.
 */
export interface ByteStream {
  /** False: the peer takes less than it is given; wait for `onWritable`. The chunk is taken all the same. */
  write(chunk: Buffer): boolean;
  /** Closes our side, once everything written has gone out. */
  end(): void;
  /** Cuts the connection off in a way that nobody takes for its end. No callback comes after it. */
  reset(): void;
  pause(): void;
  resume(): void;
}

export interface ByteHandler {
  onBytes(chunk: Buffer): void;
  /** The peer has closed its side; ours stays open. */
  onEnd(): void;
  onWritable(): void;
  /** The last call. Empty: both sides had been closed; else what cut it off. */
  onClosed(cutBy: string): void;
}
