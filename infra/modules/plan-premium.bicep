// The Premium plan. Made before vaults, database and storage: a region without zones, or a subscription without quota, is
// refused here, when nothing is there yet that holds its name or cannot change its zones.

@description('Required. The region.')
param location string

@description('Required. The plan\'s name.')
param name string

@description('Required. Most instances at once.')
@minValue(1)
@maxValue(100)
param maxInstances int

@description('Optional. Whether instances may stand in several zones; the region must have them.')
param zoneRedundant bool = true

@description('Required. Tags.')
param tags object

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: name
  location: location
  tags: tags
  kind: 'elastic'
  sku: { name: 'EP1', tier: 'ElasticPremium', capacity: zoneRedundant ? 3 : 1 }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
    elasticScaleEnabled: true
    maximumElasticWorkerCount: zoneRedundant ? max(maxInstances, 3) : maxInstances
  }
}
