/** Localities as the file has them: mappings, patterns such as `eu/eu-a/*`, and shares by pattern. */
import { z } from 'zod';
import { anyText } from './names.ts';
import { integer, type Leaf, Refusal, text } from './scalar.ts';

const PART = /^(?:\*|[A-Za-z0-9][A-Za-z0-9_.-]*)$/;

/** `region/zone/subZone`, as Istio writes it; `*`, and what is left out at the end, stands for any. */
export function localityPattern(): Leaf<string> {
  return text({
    expected: 'a locality such as eu/eu-a/*, or *',
    json: { examples: ['eu/eu-a/*', '*'] },
    read(value) {
      const parts = value.split('/');
      if (parts.length > 3) return new Refusal('a locality is REGION/ZONE/SUBZONE');
      return parts.every((part) => PART.test(part))
        ? value
        : new Refusal('write REGION, REGION/ZONE or REGION/ZONE/SUBZONE, with * for any');
    },
  });
}

/** Percent by pattern. */
export function localityWeights() {
  return z.record(localityPattern(), integer({ min: 0, max: 100, unit: 'percent' }));
}

/** Where an endpoint or a node is. */
export function localitySchema() {
  return z.strictObject({
    region: anyText('a region', 256).describe('Kubernetes: topology.kubernetes.io/region.'),
    zone: anyText('a zone', 256).prefault('').describe('Kubernetes: topology.kubernetes.io/zone.'),
    subZone: anyText('a part of a zone', 256).prefault('').describe('Istio: topology.istio.io/subzone.'),
  });
}
