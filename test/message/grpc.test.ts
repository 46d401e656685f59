import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderList, isGrpc } from '../../src/message/index.ts';

test('a gRPC request says application/grpc, alone or with a format or parameters', () => {
  const grpc = ['application/grpc', 'application/grpc+proto', 'application/grpc;charset=utf-8'];
  const other = [
    'application/grpc-web',
    'application/grpc-web+proto',
    'application/grpcx',
    'application/grp',
    'application/json',
    'text/application/grpc',
    '',
  ];
  for (const type of grpc) assert.equal(isGrpc(HeaderList.of('Content-Type', type)), true, type);
  for (const type of other) assert.equal(isGrpc(HeaderList.of('content-type', type)), false, type);
  assert.equal(isGrpc(HeaderList.empty()), false);
});
