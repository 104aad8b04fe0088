import { describe, expect, it } from 'vitest';
import { parseQuery } from '../../src/api/http/query.ts';
import { parseResourcePath } from '../../src/api/http/resource-path.ts';
import { expectRefusal } from '../support/refusal.ts';

describe('paths under /v1', () => {
  it.each([
    ['projects/p/topics', 'projects/*/topics', 'projects/p'],
    ['projects/p/topics/t', 'projects/*/topics/*', 'projects/p/topics/t'],
    ['projects/p/topics/t:publish', 'projects/*/topics/*:publish', 'projects/p/topics/t'],
    ['projects/p/topics/t/subscriptions', 'projects/*/topics/*/subscriptions', 'projects/p/topics/t'],
    ['projects/example.com:old/topics/t', 'projects/*/topics/*', 'projects/example.com:old/topics/t'],
    ['projects/p/topics/a+b~c', 'projects/*/topics/*', 'projects/p/topics/a+b~c'],
    ['projects/p/topics/a%2Bb%7Ec', 'projects/*/topics/*', 'projects/p/topics/a+b~c'],
    ['projects/p/topics/a%252Bb:publish', 'projects/*/topics/*:publish', 'projects/p/topics/a%2Bb'],
    ['projects/p/topics/50%25', 'projects/*/topics/*', 'projects/p/topics/50%'],
    ['projects/p/schemas:validate', 'projects/*/schemas:validate', 'projects/p'],
    ['projects/p:testMessageTransforms', 'projects/*:testMessageTransforms', 'projects/p'],
    ['', '', ''],
  ])('path - %s', (path, shape, name) => {
    expect(parseResourcePath(path)).toEqual({ shape, name });
  });

  it.each([
    ['an encoded slash', 'projects/p/topics/a%2Fb'],
    ['a parent', 'projects/p/topics/..'],
    ['an encoded parent', 'projects/p/topics/%2e%2e'],
    ['a dot', 'projects/./topics/t'],
    ['an empty id', 'projects//topics/t'],
    ['no id before the verb', 'projects/p/topics/:publish'],
    ['a bare percent sign', 'projects/p/topics/50%'],
    ['bytes that are not UTF-8', 'projects/p/topics/%ff%fe'],
  ])('path - %s is refused', async (_, path) => {
    await expectRefusal(() => parseResourcePath(path), 'INVALID_ARGUMENT', 'path');
  });
});

describe('queries', () => {
  it("query - Google's system parameters are tolerated and the rest is the method's", () => {
    const system =
      'key=k&access_token=t&prettyPrint=false&alt=json&$alt=json%3Benum-encoding%3Dint&$.xgafv=2&quotaUser=u&fields=name';
    expect(parseQuery(`${system}&pageSize=3&pageToken=a%2Bb`)).toEqual({ pageSize: '3', pageToken: 'a+b' });
  });

  it.each([
    ['pageSize=1&pageSize=2', 'is given twice'],
    ['alt=proto', 'alt="proto" is not served'],
    ['alt=media', 'replies are always JSON'],
  ])('query - %s is refused', async (query, says) => {
    await expectRefusal(() => parseQuery(query), 'INVALID_ARGUMENT', says);
  });

  it('query - __proto__ is a parameter like any other', () => {
    expect(Object.entries(parseQuery('__proto__=x'))).toEqual([['__proto__', 'x']]);
  });
});
