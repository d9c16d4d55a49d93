// The Flex Consumption plan. Made before vaults, database and storage: a region without Flex or without zones is refused
// here, when nothing is there yet that holds its name or cannot change its zones.

@description('Required. The region; it must offer Flex Consumption.')
param location string

@description('Required. The plan\'s name.')
param name string

@description('Optional. Whether instances may stand in several zones; the region must have them.')
param zoneRedundant bool = true

@description('Required. Tags.')
param tags object

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: zoneRedundant }
}
