// Writes a private endpoint's addresses into a private DNS zone, and keeps them right.

@description('Required. The endpoint, which is there.')
param endpointName string

@description('Required. The zone of its service.')
param zoneId string

resource endpoint 'Microsoft.Network/privateEndpoints@2025-05-01' existing = {
  name: endpointName
}

resource group 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [{ name: 'zone', properties: { privateDnsZoneId: zoneId } }]
  }
}
